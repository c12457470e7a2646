import type { Command } from 'commander'
import { type Actions, type Flags, withStateDir, withTeam } from '../../actions.ts'

export function addTemplatesList(templates: Command, actions: Actions): void {
  withTeam(withStateDir(templates.command('list')))
    .description('list the team’s templates, newest first')
    .action(async (flags: Flags) => {
      const rows = await actions.templates.list(flags)
      if (rows.length === 0)
        console.error('There are no templates of this team yet: "templates build" makes one.')
      for (const { id, names, status, cpuCount, memoryMb, isPublic, createdAt, spawnCount } of rows) {
        const size = `${cpuCount} vCPU ${memoryMb} MiB`
        const seen = isPublic ? 'public' : 'private'
        console.log(
          [id, status, size, seen, createdAt.toISOString(), `${spawnCount} sandboxes`, ...names].join('  '),
        )
      }
    })
}
