import type { Command } from 'commander'
import { type Actions, type Flags, withStateDir } from '../../actions.ts'

export function addDomainOn(domain: Command, actions: Actions): void {
  withStateDir(domain.command('on'))
    .description(
      'let this machine find the names of the running server’s domain and trust its authority; needs root',
    )
    .option('--dry-run', 'change nothing, and say what it would do')
    .action(async (flags: Flags) => {
      for (const line of await actions.domain.on(flags)) console.log(line)
    })
}
