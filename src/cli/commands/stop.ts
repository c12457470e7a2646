import type { Command } from 'commander'
import { type Actions, type Flags, withStateDir } from '../actions.ts'

export function addStop(program: Command, actions: Actions): void {
  withStateDir(program.command('stop'))
    .description('stop the server as Ctrl-C does, and wait until it has ended; sandboxes live on')
    .action(async (flags: Flags) => console.log(await actions.stop(flags)))
}
