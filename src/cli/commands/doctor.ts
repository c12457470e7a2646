import type { Command } from 'commander'
import { type Actions, type Flags, withStateDir } from '../actions.ts'

export function addDoctor(program: Command, actions: Actions): void {
  withStateDir(program.command('doctor'))
    .description('look at everything the server needs, and say what to do about what is missing')
    .action(async (flags: Flags) => {
      const checks = await actions.doctor(flags)
      const width = Math.max(...checks.map(({ name }) => name.length))
      for (const { name, ok, detail } of checks) {
        console.log(`${ok ? 'ok  ' : 'FAIL'}  ${name.padEnd(width)}  ${detail}`)
      }
      if (checks.some(({ ok }) => !ok)) process.exitCode = 1
    })
}
