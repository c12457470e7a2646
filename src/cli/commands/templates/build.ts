import type { Command } from 'commander'
import { type Actions, type Flags, withStateDir, withTeam } from '../../actions.ts'

export function addTemplatesBuild(templates: Command, actions: Actions): void {
  withTeam(withStateDir(templates.command('build')))
    .description('build a template from a Dockerfile, or a stock template, and say what happens')
    .argument(
      '<path or stock template>',
      'a Dockerfile, or the folder with an e2b.Dockerfile or Dockerfile; a stock template’s name alone builds that',
    )
    .option('--name <name>', 'what to call it, with an optional :tag (default: the folder’s name)')
    .option('--cpu-count <n>', 'CPUs of its sandboxes (default: 2)')
    .option('--memory-mb <n>', 'memory of its sandboxes, in MiB (default: 1024)')
    .option('--ready-cmd <command>', 'sandboxes are ready when it exits with 0, where there is a CMD')
    .option('--no-cache', 'make every step again')
    .action(async (what: string, flags: Flags) => {
      for await (const line of actions.templates.build(flags, what)) console.log(line)
    })
}
