import type { Command } from 'commander'
import {
  type Actions,
  type Flags,
  type StockRow,
  type TemplateRow,
  withStateDir,
  withTeam,
} from '../../actions.ts'

export function addTemplatesList(templates: Command, actions: Actions): void {
  withTeam(withStateDir(templates.command('list')))
    .description('list the team’s templates, newest first, and the stock templates of every team')
    .action(async (flags: Flags) => {
      const { own, stock } = await actions.templates.list(flags)
      if (own.length === 0)
        console.error('There are no templates of this team yet: "templates build" makes one.')
      for (const line of [...own.map(ownLine), ...stock.map(stockLine)]) console.log(line)
    })
}

function ownLine({ id, names, status, isPublic, createdAt, spawnCount, ...size }: TemplateRow): string {
  const seen = isPublic ? 'public' : 'private'
  const made = [createdAt.toISOString(), `${spawnCount} sandboxes`]
  return [id, status, sizeOf(size), seen, ...made, ...names].join('  ')
}

function stockLine({ names, state, isCurrent, detail, ...size }: StockRow): string {
  const [first = '', ...others] = names
  const words = { ready: 'ready', building: 'building', failed: 'failed', missing: 'not built' }
  const which = state === 'ready' && !isCurrent ? ['of an earlier recipe'] : []
  return [
    first,
    words[state],
    sizeOf(size),
    'stock',
    ...which,
    ...(detail === null ? [] : [detail]),
    ...others,
  ].join('  ')
}

function sizeOf({ cpuCount, memoryMb }: { cpuCount: number; memoryMb: number }): string {
  return `${cpuCount} vCPU ${memoryMb} MiB`
}
