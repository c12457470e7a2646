import type { Command } from 'commander'
import { type Actions, type Flags, withStateDir } from '../../actions.ts'
import { printTeam } from './print.ts'

export function addTeamsList(teams: Command, actions: Actions): void {
  withStateDir(teams.command('list'))
    .description('list the teams with their limits, oldest first')
    .action(async (flags: Flags) => {
      for (const team of await actions.teams.list(flags)) printTeam(team)
    })
}
