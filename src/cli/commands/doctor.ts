import type { Command } from 'commander'
import { type Actions, type Check, type Flags, withStateDir } from '../actions.ts'
import { withServerOptions } from '../server-options.ts'

const marks: Record<Check['state'], string> = { ok: 'ok  ', warn: 'WARN', fail: 'FAIL' }

export function addDoctor(program: Command, actions: Actions): void {
  withServerOptions(withStateDir(program.command('doctor')))
    .description('look at everything the server needs and has, and say what to do about what is amiss')
    .action(async (flags: Flags) => {
      const checks = await actions.doctor(flags)
      const width = Math.max(...checks.map(({ name }) => name.length))
      for (const { name, state, detail, remedy } of checks) {
        console.log(`${marks[state]}  ${name.padEnd(width)}  ${detail}`)
        if (remedy !== undefined) console.log(`      ${' '.repeat(width)}  ${remedy}`)
      }
      if (checks.some(({ state }) => state === 'fail')) process.exitCode = 1
    })
}
