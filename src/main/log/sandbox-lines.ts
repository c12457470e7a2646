import type { ControlContext } from '../../control/context.ts'
import { sandboxLogs } from '../../control/sandbox-logs.ts'
import { ServerError } from '../../domain/error.ts'
import type { LogLevel, SandboxLogEntry } from '../../domain/sandbox-log.ts'
import { sleep } from '../../lib/deadline.ts'

/** How often a followed log is looked at, in milliseconds, and how much is read at once. */
const lookEveryMs = 500
const pageMax = 1_000

/** Levels as numbers, as the server's own log has them. */
const numbers: Record<LogLevel, number> = { debug: 20, info: 30, warn: 40, error: 50 }

/**
 * A sandbox's log in the shape of the server's own: lines of JSON with `time`, `level` and `msg`. The last `count`; with
 * `follow` also those to come, until that signal. Errors: `not_found`.
 */
export async function* sandboxLines(
  ctx: Pick<ControlContext, 'store'>,
  id: string,
  { count, follow }: { count: number; follow?: AbortSignal | undefined },
): AsyncGenerator<string> {
  const sandbox = { id, teamId: await teamOf(ctx, id) }
  // One at least says where "to come" begins.
  const last = await sandboxLogs(ctx, sandbox, { direction: 'backward', limit: Math.max(count, 1) })
  const shown = last.reverse()
  for (const entry of shown.slice(shown.length - count)) yield lineOf(entry)
  let seen = shown
  while (follow !== undefined && !follow.aborted) {
    await sleep(lookEveryMs, follow).catch(() => {})
    const cursor = seen.at(-1)?.at
    const entries = await sandboxLogs(ctx, sandbox, { cursor, direction: 'forward', limit: pageMax })
    // The cursor's own millisecond comes again.
    const seenNow = seen.filter(({ at }) => at === cursor)
    const fresh = entries.slice(seenNow.length)
    for (const entry of fresh) yield lineOf(entry)
    if (fresh.length > 0) seen = [...seenNow, ...fresh]
  }
}

async function teamOf({ store }: Pick<ControlContext, 'store'>, sandboxId: string): Promise<string> {
  const [event] = await store.events.list({ sandboxId, limit: 1 })
  const teamId = event?.teamId ?? (await store.sandboxes.find(sandboxId))?.teamId
  if (teamId !== undefined) return teamId
  throw new ServerError('not_found', `There is no sandbox '${sandboxId}', nor what it said.`)
}

function lineOf({ at, level, message, fields }: SandboxLogEntry): string {
  return JSON.stringify({ ...fields, level: numbers[level], time: at, msg: message })
}
