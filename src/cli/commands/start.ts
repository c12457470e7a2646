import type { Command } from 'commander'
import { type Actions, type Flags, withStateDir } from '../actions.ts'
import { withServerOptions } from '../server-options.ts'

export function addStart(program: Command, actions: Actions): void {
  withServerOptions(withStateDir(program.command('start')))
    .description('run the server, until Ctrl-C or "stop"')
    .option('--destroy-on-exit', 'end all sandboxes when the server stops')
    .action((flags: Flags) => actions.start(flags))
}
