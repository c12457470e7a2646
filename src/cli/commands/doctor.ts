import type { Command } from 'commander'
import { type Actions, type Check, type Flags, withStateDir } from '../actions.ts'
import { withServerOptions } from '../server-options.ts'

const marks: Record<Check['state'], string> = { ok: 'ok  ', warn: 'WARN', fail: 'FAIL' }

export function addDoctor(program: Command, actions: Actions): void {
  withServerOptions(withStateDir(program.command('doctor')))
    .description('look at everything the server needs and has, and say what to do about what is amiss')
    .action(async (flags: Flags) => {
      const groups = await actions.doctor(flags)
      const checks = groups.flatMap((group) => group.checks)
      const width = Math.max(...checks.map(({ name }) => name.length))
      for (const group of groups) {
        if (group.checks.length === 0) continue
        console.log(`${group.name}:`)
        for (const check of group.checks) printCheck(check, width)
        console.log('')
      }
      console.log(summary(checks))
      if (checks.some(({ state }) => state === 'fail')) process.exitCode = 1
    })
}

function printCheck({ name, state, detail, remedy }: Check, width: number): void {
  console.log(`${marks[state]}  ${name.padEnd(width)}  ${detail}`)
  if (remedy !== undefined) console.log(`      ${' '.repeat(width)}  ${remedy}`)
}

/** The exit code is 1 exactly where this names a failure. */
function summary(checks: Check[]): string {
  const count = (state: Check['state']) => checks.filter((check) => check.state === state).length
  const parts = [`${count('ok')} ok`, `${count('warn')} to look at`, `${count('fail')} failed`]
  return `${checks.length} checks: ${parts.join(', ')}`
}
