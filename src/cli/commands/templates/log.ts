import type { Command } from 'commander'
import { type Actions, type Flags, withStateDir, withTeam } from '../../actions.ts'

export function addTemplatesLog(templates: Command, actions: Actions): void {
  withTeam(withStateDir(templates.command('log')))
    .description('show what the newest build of a template said, a stock template’s too')
    .argument('<template>', 'its name or id')
    .action(async (template: string, flags: Flags) => {
      for await (const line of actions.templates.log(flags, template)) console.log(line)
    })
}
