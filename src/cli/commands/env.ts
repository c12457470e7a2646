import { type Command, Option } from 'commander'
import { type Actions, type Flags, withStateDir } from '../actions.ts'
import { envFormats } from '../env-formats.ts'

export function addEnv(program: Command, actions: Actions): void {
  const formats = Object.keys(envFormats)
  withStateDir(program.command('env'))
    .description('print the variables for E2B programs: eval "$(e2b-server env)"')
    .addOption(new Option('--format <format>', 'for whom').choices(formats).default('sh'))
    .action(async (flags: Flags) => {
      const variables = await actions.env(flags)
      for (const line of envFormats[String(flags.format)]!(variables)) console.log(line)
    })
}
