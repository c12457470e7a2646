import type { Command } from 'commander'
import { type Actions, type Flags, withStateDir, withTeam } from '../../actions.ts'

export function addKeysList(keys: Command, actions: Actions): void {
  withTeam(withStateDir(keys.command('list')))
    .description('list the keys, masked')
    .action(async (flags: Flags) => {
      for (const { id, mask, name, createdAt, lastUsedAt } of await actions.keys.list(flags)) {
        console.log(
          [id, mask, createdAt.toISOString(), lastUsedAt?.toISOString() ?? 'never used', name].join('  '),
        )
      }
    })
}
