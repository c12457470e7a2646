import { ServerError } from '../domain/error.ts'
import { linkSignals } from '../lib/linked-signal.ts'

const minuteMs = 60_000

/** How long parts of a build may take, in ms (e2b-behaviour 4.2). Its ready command: see `BuilderParts`. */
export const buildTimeouts = {
  /** In line, before it begins */
  turnMs: 60 * minuteMs,
  buildMs: 60 * minuteMs,
  baseMs: 10 * minuteMs,
  copyMs: 10 * minuteMs,
}

/** Runs a task that may take so long. Errors: `deadline_exceeded`, naming what; those of the task. */
export async function within<T>(
  timeoutMs: number,
  what: string,
  signal: AbortSignal,
  task: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const bounded = linkSignals([signal], timeoutMs)
  try {
    return await task(bounded.signal)
  } catch (error) {
    signal.throwIfAborted()
    if (!bounded.signal.aborted) throw error
    throw new ServerError('deadline_exceeded', `${what} took longer than ${spoken(timeoutMs)}.`, {
      cause: error,
    })
  } finally {
    bounded.dispose()
  }
}

function spoken(ms: number): string {
  return ms < minuteMs ? `${ms / 1000} seconds` : `${Math.round(ms / minuteMs)} minutes`
}
