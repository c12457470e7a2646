import type { Command } from 'commander'
import { type Actions, type Flags, withStateDir } from '../../actions.ts'

export function addTemplatesGc(templates: Command, actions: Actions): void {
  withStateDir(templates.command('gc'))
    .description('free what builds have left and nobody uses, of every team')
    .option('--all', 'also what the cache keeps for later builds')
    .action(async (flags: Flags) => {
      const { builds, images, layers, files, bytes } = await actions.templates.gc(flags)
      const freed = `${Math.round(bytes / 2 ** 20)} MiB`
      console.log(
        `Removed ${builds} builds, ${images} stock images, ${layers} layers and ${files} archives: ${freed}.`,
      )
    })
}
