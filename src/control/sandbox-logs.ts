import { ServerError } from '../domain/error.ts'
import type { LifecycleEvent } from '../domain/lifecycle-event.ts'
import { type LogLevel, logLevels, type SandboxLogEntry } from '../domain/sandbox-log.ts'
import type { ControlContext } from './context.ts'
import { requireOwned, type SandboxRef } from './find-sandbox.ts'

export interface LogsRequest {
  /** Unix milliseconds, inclusive: where to begin, in whichever direction */
  cursor?: number | undefined
  direction: 'forward' | 'backward'
  /** This level and those above it */
  level?: LogLevel | undefined
  /** Has to occur in the message */
  search?: string | undefined
  limit: number
}

/** Most events of one sandbox that are read beside its log. */
const eventsMax = 1_000

/**
 * What a sandbox's processes did and said, and what happened to it, by time. Readable also after its end, while it is
 * kept. Errors: `not_found`.
 */
export async function sandboxLogs(
  ctx: ControlContext,
  { teamId, id }: SandboxRef,
  { cursor, direction, level = 'debug', search, limit }: LogsRequest,
): Promise<SandboxLogEntry[]> {
  const order = direction === 'forward' ? 'asc' : 'desc'
  const events = await ctx.store.events.list({ teamId, sandboxId: id, order, limit: eventsMax })
  if (events.length === 0) requireOwned(await ctx.store.sandboxes.find(id), { teamId, id })
  const levels = logLevels.slice(logLevels.indexOf(level))
  const entries = await ctx.store.logs.list({
    teamId,
    sandboxId: id,
    levels,
    order,
    limit,
    ...(search !== undefined && { search }),
    ...(cursor !== undefined && (direction === 'forward' ? { from: cursor } : { to: cursor })),
  })
  const told = events.map(entryOf).filter((entry) => {
    const isBeyond = direction === 'forward' ? entry.at < (cursor ?? 0) : entry.at > (cursor ?? Infinity)
    return (
      !isBeyond && levels.includes(entry.level) && (search === undefined || entry.message.includes(search))
    )
  })
  const sign = direction === 'forward' ? 1 : -1
  return [...entries, ...told].sort((a, b) => sign * (a.at - b.at)).slice(0, limit)
}

/** An event as a line of the log. */
function entryOf({ type, at, reason, detail }: LifecycleEvent): SandboxLogEntry {
  const { metadata: _, execution: __, ...rest } = detail
  const fields = Object.entries({ reason, ...rest }).filter(([, value]) => value != null)
  return {
    at: Math.floor(at),
    level: type === 'failed' ? 'error' : 'info',
    message: `sandbox ${type}`,
    fields: {
      logger: 'lifecycle',
      ...Object.fromEntries(fields.map(([name, value]) => [name, String(value)])),
    },
  }
}

/** Errors: `invalid_argument`. */
export function parseLevel(text: string | undefined): LogLevel | undefined {
  const level = logLevels.find((name) => name === text?.toLowerCase())
  if (text === undefined || level !== undefined) return level
  throw new ServerError('invalid_argument', `'level' must be one of ${logLevels.join(', ')}.`)
}
