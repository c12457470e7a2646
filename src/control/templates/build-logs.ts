import type { LogLevel } from '../../domain/sandbox-log.ts'
import type { BuildLogEntry, BuildLogFilter, TemplateBuild } from '../../domain/template-build.ts'
import type { ControlContext } from '../context.ts'
import { type BuildRef, requireOwnBuild } from './find.ts'

/** Entries of the failing step that go with the reason of an error. */
const reasonEntriesMax = 20

/** Which entries are meant. */
export interface LogPage {
  /** How many entries, of those that `level` leaves, the client has already */
  logsOffset: number
  limit: number
  level: LogLevel | undefined
}

export interface BuildProgress {
  build: TemplateBuild
  /** None for offsets behind the last one: clients ask until that is so (e2b-wire 4.1) */
  entries: BuildLogEntry[]
  /** The last ones of the step that failed */
  reasonEntries: BuildLogEntry[]
  /** It was asked for as the first generation does, whose clients read text alone */
  isFirstGeneration: boolean
}

/** How far a build is, and what it has said since. Errors: `not_found`. */
export async function buildStatus(
  ctx: ControlContext,
  { logsOffset, limit, level, ...ref }: BuildRef & LogPage,
): Promise<BuildProgress> {
  const { build } = await requireOwnBuild(ctx, ref)
  return progressOf(ctx, build, { logsOffset, limit, level })
}

/** The same of a build that is found already. */
export async function progressOf(
  ctx: ControlContext,
  build: TemplateBuild,
  { logsOffset: offset, limit, level }: LogPage,
): Promise<BuildProgress> {
  const minLevel = level === undefined ? {} : { minLevel: level }
  const page = { buildId: build.id, offset, limit, ...minLevel }
  const entries = limit === 0 ? [] : await ctx.store.buildLogs.list(page)
  const plan = entries.length === 0 ? undefined : await ctx.store.builds.plan(build.id)
  const isFirstGeneration = plan?.order !== undefined
  return { build, entries, reasonEntries: await reasonEntriesOf(ctx, build), isFirstGeneration }
}

async function reasonEntriesOf({ store }: ControlContext, build: TemplateBuild): Promise<BuildLogEntry[]> {
  if (build.reason === null) return []
  const last = await store.buildLogs.list({ buildId: build.id, order: 'desc', limit: reasonEntriesMax })
  return last.reverse().filter(({ step }) => step === build.reason?.step)
}

export type BuildLogsRequest = BuildRef & Pick<BuildLogFilter, 'minLevel' | 'cursor' | 'order' | 'limit'>

/** What a build said. Errors: `not_found`. */
export async function buildLogs(
  ctx: ControlContext,
  { minLevel, cursor, order, limit, ...ref }: BuildLogsRequest,
): Promise<BuildLogEntry[]> {
  const { build } = await requireOwnBuild(ctx, ref)
  if (limit === 0) return []
  return ctx.store.buildLogs.list({
    buildId: build.id,
    limit,
    ...(minLevel !== undefined && { minLevel }),
    ...(cursor !== undefined && { cursor }),
    ...(order !== undefined && { order }),
  })
}
