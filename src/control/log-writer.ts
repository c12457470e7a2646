/**
 * Takes in what sandboxes' processes say and writes it in batches, so that nobody waits for it. What comes faster than
 * it can be written is dropped, and the log says how much.
 */
import type { SandboxLogSink, StoredLogEntry } from '../domain/sandbox-log.ts'
import { sleep } from '../lib/deadline.ts'
import type { ControlContext } from './context.ts'

/** Time between two writes, in ms. */
const flushMs = 500
/** Entries that may wait. */
const waitingMax = 20_000
/** Entries of one write. */
const batch = 500
/** Writes between two looks at what may go: every five minutes. */
const flushesPerTrim = 600
const dayMs = 24 * 3600_000
/** How long anything is kept, how long that of ended sandboxes is, in ms, and how much of one sandbox. */
const keep = { ms: 7 * dayMs, endedMs: dayMs, entries: 10_000 }

export interface LogWriter extends SandboxLogSink {
  /** Writes what waits. */
  flush(): Promise<void>
  /** Writes until the signal aborts, and then what is left. */
  run(signal: AbortSignal): Promise<void>
}

export function createLogWriter({
  store,
  clock,
  log,
}: Pick<ControlContext, 'store' | 'clock' | 'log'>): LogWriter {
  let waiting: StoredLogEntry[] = []
  let dropped = 0

  const writer: LogWriter = {
    write(entry) {
      if (waiting.length < waitingMax) waiting.push(entry)
      else dropped++
    },

    async flush() {
      const entries = waiting
      waiting = []
      for (let at = 0; at < entries.length; at += batch) await store.logs.add(entries.slice(at, at + batch))
      if (dropped > 0) log.warn({ dropped }, 'entries of sandboxes’ logs came too fast and were dropped')
      dropped = 0
    },

    async run(signal) {
      for (let flushes = 0; !signal.aborted; flushes++) {
        await sleep(flushMs, signal).catch(() => {})
        try {
          if (waiting.length > 0 || dropped > 0) await writer.flush()
          if (flushes % flushesPerTrim === 0) await trim()
        } catch (error) {
          log.error({ err: error }, 'the logs of sandboxes could not be written')
        }
      }
      await writer.flush().catch(() => {})
    },
  }
  return writer

  async function trim(): Promise<void> {
    const now = clock.now()
    const { ms, endedMs, entries } = keep
    await store.logs.trim({ before: now - ms, endedBefore: now - endedMs, max: entries })
    await store.events.removeBefore(now - ms)
  }
}
