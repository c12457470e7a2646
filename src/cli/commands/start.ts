import type { Command } from 'commander'
import { type Actions, type Flags, withStateDir } from '../actions.ts'
import { withServerOptions } from '../server-options.ts'

export function addStart(program: Command, actions: Actions): void {
  withServerOptions(withStateDir(program.command('start', { isDefault: true })))
    .description('run the server; what is done without a command')
    .option('--destroy-on-exit', 'end all sandboxes when the server stops')
    // Words that are no command end up here: without this, they would be refused as arguments of `start`.
    .allowExcessArguments()
    .action((flags: Flags, start: Command) => {
      const [word] = start.args
      if (word !== undefined) start.error(`error: unknown command '${word}'`)
      return actions.start(flags)
    })
}
