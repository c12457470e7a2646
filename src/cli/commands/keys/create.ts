import type { Command } from 'commander'
import { type Actions, type Flags, withStateDir, withTeam } from '../../actions.ts'

export function addKeysCreate(keys: Command, actions: Actions): void {
  withTeam(withStateDir(keys.command('create')))
    .description('make a key and print it; it is shown only this once')
    .option('--name <name>', 'what to call it', 'unnamed')
    .action(async (flags: Flags) => {
      console.log(await actions.keys.create(flags, String(flags.name)))
    })
}
