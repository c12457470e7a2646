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
  /** Has to occur in the message, letter by letter */
  search?: string | undefined
  limit: number
}

/** Most events that one answer has beside the log: as many as any answer has entries. */
const eventsMax = 1_000

/**
 * What a sandbox's processes did and said, and what happened to it, by time. Readable also after its end, while it is
 * kept. Errors: `not_found`.
 */
export async function sandboxLogs(
  ctx: Pick<ControlContext, 'store'>,
  { teamId, id }: SandboxRef,
  { cursor, direction, level = 'debug', search, limit }: LogsRequest,
): Promise<SandboxLogEntry[]> {
  const order = direction === 'forward' ? 'asc' : 'desc'
  const range: { from?: number; to?: number } =
    cursor === undefined ? {} : direction === 'forward' ? { from: cursor } : { to: cursor }
  const [any] = await ctx.store.events.list({ teamId, sandboxId: id, limit: 1 })
  if (any === undefined) requireOwned(await ctx.store.sandboxes.find(id), { teamId, id })
  const events = await ctx.store.events.list({
    teamId,
    sandboxId: id,
    order,
    limit: eventsMax,
    ...range,
    // Their times have fractions, which no entry shows.
    ...(range.to !== undefined && { to: range.to + 0.999 }),
  })
  const levels = logLevels.slice(logLevels.indexOf(level))
  const entries = await ctx.store.logs.list({
    teamId,
    sandboxId: id,
    levels,
    order,
    limit,
    ...(search !== undefined && { search }),
    ...range,
  })
  const told = events.map(entryOf).filter((entry) => levels.includes(entry.level) && says(entry, search))
  const sign = direction === 'forward' ? 1 : -1
  return [...entries, ...told].sort((a, b) => sign * (a.at - b.at)).slice(0, limit)
}

function says({ message }: SandboxLogEntry, search: string | undefined): boolean {
  return search === undefined || message.includes(search)
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
