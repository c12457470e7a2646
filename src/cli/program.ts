/** The command line. Commands only parse and print; what they do arrives as `Actions` from `main/`. */
import { Command } from 'commander'
import type { Actions } from './actions.ts'
import { addBench } from './commands/bench.ts'
import { addDoctor } from './commands/doctor.ts'
import { addDomainOff } from './commands/domain/off.ts'
import { addDomainOn } from './commands/domain/on.ts'
import { addDomainStatus } from './commands/domain/status.ts'
import { addEnv } from './commands/env.ts'
import { addKeysCreate } from './commands/keys/create.ts'
import { addKeysDelete } from './commands/keys/delete.ts'
import { addKeysList } from './commands/keys/list.ts'
import { addLogs } from './commands/logs.ts'
import { addStart } from './commands/start.ts'
import { addStatus } from './commands/status.ts'
import { addStop } from './commands/stop.ts'
import { addTeamsCreate } from './commands/teams/create.ts'
import { addTeamsLimits } from './commands/teams/limits.ts'
import { addTeamsList } from './commands/teams/list.ts'
import { addTemplatesBuild } from './commands/templates/build.ts'
import { addTemplatesDelete } from './commands/templates/delete.ts'
import { addTemplatesGc } from './commands/templates/gc.ts'
import { addTemplatesList } from './commands/templates/list.ts'
import { addTemplatesLog } from './commands/templates/log.ts'

/** Runs a command line, given without node and the script. One that names no command prints help. */
export async function runProgram(program: Command, args: string[]): Promise<void> {
  const [word, ...rest] = args
  const group = program.commands.find((command) => command.name() === word && command.commands.length > 0)
  if (word === undefined) program.outputHelp()
  else if (group !== undefined && rest.length === 0) group.outputHelp()
  else await program.parseAsync(args, { from: 'user' })
}

/** The program, ready for `runProgram`. */
export function createProgram(actions: Actions, version: string): Command {
  const program = new Command('e2b-server')
    .description('A self-hosted server that speaks E2B’s wire protocol.')
    .version(version)
    .showHelpAfterError('With --help it says what there is.')
  addStart(program, actions)
  addStop(program, actions)
  addStatus(program, actions)
  addLogs(program, actions)
  addEnv(program, actions)
  addDoctor(program, actions)
  addBench(program, actions)
  const domain = program.command('domain').description('this machine’s names and trust for the domain mode')
  addDomainOn(domain, actions)
  addDomainOff(domain, actions)
  addDomainStatus(domain, actions)
  const keys = program.command('keys').description('API keys of this server')
  addKeysList(keys, actions)
  addKeysCreate(keys, actions)
  addKeysDelete(keys, actions)
  const teams = program.command('teams').description('teams of this server, and their limits')
  addTeamsList(teams, actions)
  addTeamsCreate(teams, actions)
  addTeamsLimits(teams, actions)
  const templates = program.command('templates').description('templates on the server that runs')
  addTemplatesList(templates, actions)
  addTemplatesBuild(templates, actions)
  addTemplatesLog(templates, actions)
  addTemplatesDelete(templates, actions)
  addTemplatesGc(templates, actions)
  return program
}
