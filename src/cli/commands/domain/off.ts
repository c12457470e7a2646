import type { Command } from 'commander'
import { type Actions, type Flags, withStateDir } from '../../actions.ts'

export function addDomainOff(domain: Command, actions: Actions): void {
  withStateDir(domain.command('off'))
    .description('take back what "domain on" changed; needs root and no running server')
    .option('--dry-run', 'change nothing, and say what it would do')
    .action(async (flags: Flags) => {
      for (const line of await actions.domain.off(flags)) console.log(line)
    })
}
