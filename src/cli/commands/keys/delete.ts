import type { Command } from 'commander'
import { type Actions, type Flags, withStateDir } from '../../actions.ts'

export function addKeysDelete(keys: Command, actions: Actions): void {
  withStateDir(keys.command('delete'))
    .description('delete a key by the id that "keys list" shows; requests with it are refused from then on')
    .argument('<id>', 'id of the key')
    .action((id: string, flags: Flags) => actions.keys.delete(flags, id))
}
