import type { Command } from 'commander'
import { type Actions, type Flags, withStateDir } from '../actions.ts'

export function addEnv(program: Command, actions: Actions): void {
  withStateDir(program.command('env'))
    .description('print the variables for E2B programs: eval "$(e2b-server env)"')
    .action(async (flags: Flags) => {
      for (const [name, value] of Object.entries(await actions.env(flags))) {
        console.log(value === null ? `unset ${name}` : `export ${name}='${value}'`)
      }
    })
}
