import type { Command } from 'commander'
import { type Actions, type DomainStatus, type Flags, withStateDir } from '../../actions.ts'

/** As `status` has it: it isn't on. */
const notOnCode = 3

const words: Record<DomainStatus['parts'][number]['state'], string> = {
  there: 'there',
  changed: 'edited since',
  waiting: 'comes back with the server',
  missing: 'GONE: "domain on" puts it back',
}

export function addDomainStatus(domain: Command, actions: Actions): void {
  withStateDir(domain.command('status'))
    .description('say whether "domain on" was run, and whether what it changed is still there')
    .action((flags: Flags) => {
      const status = actions.domain.status(flags)
      const rows = status === null ? [['domain', 'off']] : rowsOf(status)
      for (const [name, value] of rows) console.log(`${name!.padEnd(8)}${value}`)
      if (status === null) process.exitCode = notOnCode
    })
}

function rowsOf({ domain, names, trust, isWhole, parts }: DomainStatus): string[][] {
  return [
    ['domain', `${domain} is ${isWhole ? 'on' : 'half on: run "domain on" again, or "domain off"'}`],
    ['names', names ?? 'not by this command'],
    ['trust', trust ?? 'not by this command'],
    ...parts.map(({ path, state }, index) => [index === 0 ? 'files' : '', `${path}: ${words[state]}`]),
  ]
}
