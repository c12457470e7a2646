import type { Command } from 'commander'
import { type Actions, type Flags, withStateDir } from '../../actions.ts'
import { printTeam } from './print.ts'

export function addTeamsCreate(teams: Command, actions: Actions): void {
  withStateDir(teams.command('create'))
    .description('make a team; "keys create --team <slug>" makes its first key')
    .argument('<slug>', 'what its names begin with: lower-case letters, digits, dashes and underscores')
    .option('--name <name>', 'what to call it (default: the slug)')
    .action(async (slug: string, flags: Flags) => printTeam(await actions.teams.create(flags, slug)))
}
