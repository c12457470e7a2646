/** The command line. Commands only parse and print; what they do arrives as `Actions` from `main/`. */
import { Command } from 'commander'
import type { Actions } from './actions.ts'
import { addDoctor } from './commands/doctor.ts'
import { addEnv } from './commands/env.ts'
import { addKeysCreate } from './commands/keys/create.ts'
import { addKeysDelete } from './commands/keys/delete.ts'
import { addKeysList } from './commands/keys/list.ts'
import { addStart } from './commands/start.ts'
import { addTeamsCreate } from './commands/teams/create.ts'
import { addTeamsLimits } from './commands/teams/limits.ts'
import { addTeamsList } from './commands/teams/list.ts'

/** The program, ready for `parseAsync`. */
export function createProgram(actions: Actions, version: string): Command {
  const program = new Command('e2b-server')
    .description('A self-hosted server that speaks E2B’s wire protocol.')
    .version(version)
    .showHelpAfterError('With --help it says what there is.')
  addStart(program, actions)
  addEnv(program, actions)
  addDoctor(program, actions)
  const keys = program.command('keys').description('API keys of this server')
  addKeysList(keys, actions)
  addKeysCreate(keys, actions)
  addKeysDelete(keys, actions)
  const teams = program.command('teams').description('teams of this server, and their limits')
  addTeamsList(teams, actions)
  addTeamsCreate(teams, actions)
  addTeamsLimits(teams, actions)
  return program
}
