import type { Command } from 'commander'
import { type Actions, type Flags, withStateDir } from '../../actions.ts'

export function addKeysList(keys: Command, actions: Actions): void {
  withStateDir(keys.command('list'))
    .description('list the keys, masked')
    .action(async (flags: Flags) => {
      for (const { id, mask, name, createdAt } of await actions.keys.list(flags)) {
        console.log([id, mask, createdAt.toISOString(), name].join('  '))
      }
    })
}
