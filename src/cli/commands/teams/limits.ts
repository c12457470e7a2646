import type { Command } from 'commander'
import { type Actions, type Flags, withStateDir } from '../../actions.ts'
import { printTeam } from './print.ts'

export function addTeamsLimits(teams: Command, actions: Actions): void {
  withStateDir(teams.command('limits'))
    .description('set limits of a team: each a number, "unlimited", or "default" for the server’s own')
    .argument('<team>', 'its slug or id')
    .option('--sandboxes <n>', 'sandboxes that run at once')
    .option('--vcpu <n>', 'vCPU of running sandboxes together')
    .option('--memory-mb <n>', 'memory of running sandboxes together, in MiB')
    .option('--creates-per-second <n>', 'how fast it may create sandboxes')
    .option('--lifetime-hours <n>', 'longest life of a sandbox')
    .action(async (team: string, flags: Flags) => printTeam(await actions.teams.limits(flags, team)))
}
