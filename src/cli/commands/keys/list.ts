import type { Command } from 'commander'
import { type Actions, type Flags, withStateDir, withTeam } from '../../actions.ts'

export function addKeysList(keys: Command, actions: Actions): void {
  withTeam(withStateDir(keys.command('list')))
    .description('list the keys, masked')
    .action(async (flags: Flags) => {
      const keys = await actions.keys.list(flags)
      if (keys.length === 0)
        console.error('There are no keys yet: "npm start" makes the first, "keys create" more.')
      for (const { id, mask, name, createdAt, lastUsedAt } of keys) {
        const used = lastUsedAt === null ? 'never used' : `used ${lastUsedAt.toISOString()}`
        console.log([id, mask, `created ${createdAt.toISOString()}`, used, name].join('  '))
      }
    })
}
