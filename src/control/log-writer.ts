/**
 * Takes in what sandboxes' processes say and writes it in batches, so that nobody waits for it. What comes faster than
 * a sandbox may, or than it can be written, is dropped, and the log says how much.
 */
import type { SandboxLogSink, StoredLogEntry } from '../domain/sandbox-log.ts'
import { sleep } from '../lib/deadline.ts'
import { loopTurns } from '../lib/loop-turns.ts'
import { createTokenBucket, type TokenBucket } from '../lib/token-bucket.ts'
import type { ControlContext } from './context.ts'

/** Time between two writes, in ms. */
const flushMs = 500
/** What may wait. */
const waitingMax = { entries: 20_000, characters: 16 * 2 ** 20 }
/** Lines of output of one sandbox that are taken in each second; what else its log has is as rare as requests are. */
const linesPerSecondMax = 2_000
/** Entries of one write, which nothing else runs beside. */
const batch = 200
/** Writes between two looks at what may go: every five minutes. */
const flushesPerTrim = 600
const dayMs = 24 * 3600_000
/** How long anything is kept, and how long that of ended sandboxes is, in ms. */
const keep = { ms: 7 * dayMs, endedMs: dayMs }
/** How much of one sandbox is kept; twice as much may be there for a moment. */
const sandboxMax = { entries: 10_000, characters: 4 * 2 ** 20 }

export interface LogWriter extends SandboxLogSink {
  /** Writes what waits. */
  flush(): Promise<void>
  /** Writes until the signal aborts, and then what is left. */
  run(signal: AbortSignal): Promise<void>
}

/** A sandbox that has written of late. */
interface Source {
  bucket: TokenBucket
  teamId: string
  /** Dropped since the last write */
  dropped: number
  /** Written since what is kept of it was last cut to size */
  entries: number
  characters: number
}

export function createLogWriter({
  store,
  clock,
  log,
}: Pick<ControlContext, 'store' | 'clock' | 'log'>): LogWriter {
  let waiting: StoredLogEntry[] = []
  let waitingCharacters = 0
  const sources = new Map<string, Source>()

  const writer: LogWriter = {
    write(entry) {
      const source = sourceOf(entry)
      const isFull = waiting.length >= waitingMax.entries || waitingCharacters >= waitingMax.characters
      const isOutput = entry.fields.stream !== undefined
      if (isFull || (isOutput && source.bucket.take(clock.now(), linesPerSecondMax) > 0)) {
        source.dropped++
        return
      }
      waiting.push(entry)
      waitingCharacters += charactersOf(entry)
    },

    async flush() {
      const entries = [...waiting, ...tellDropped()]
      waiting = []
      waitingCharacters = 0
      for (let at = 0; at < entries.length; at += batch) {
        await store.logs.add(entries.slice(at, at + batch))
        await loopTurns(1)
      }
      for (const entry of entries) {
        const source = sourceOf(entry)
        source.entries++
        source.characters += charactersOf(entry)
      }
      for (const [id, { entries: written, characters }] of sources)
        if (written >= sandboxMax.entries || characters >= sandboxMax.characters) await cut(id)
    },

    async run(signal) {
      for (let flushes = 0; !signal.aborted; flushes++) {
        await sleep(flushMs, signal).catch(() => {})
        try {
          await writer.flush()
          if (flushes % flushesPerTrim === 0) await trim()
        } catch (error) {
          log.error({ err: error }, 'the logs of sandboxes could not be written')
        }
      }
      await writer.flush().catch(() => {})
    },
  }
  return writer

  function sourceOf({ sandboxId, teamId }: StoredLogEntry): Source {
    const known = sources.get(sandboxId)
    if (known !== undefined) return known
    const source = { bucket: createTokenBucket(), teamId, dropped: 0, entries: 0, characters: 0 }
    sources.set(sandboxId, source)
    return source
  }

  function tellDropped(): StoredLogEntry[] {
    const told: StoredLogEntry[] = []
    for (const [sandboxId, source] of sources) {
      const { teamId, dropped } = source
      if (dropped === 0) continue
      const message = `${dropped} entries came too fast and were dropped`
      told.push({ teamId, sandboxId, at: Date.now(), level: 'warn', message, fields: { logger: 'log' } })
      log.warn({ sandboxId, dropped }, 'entries of a sandbox’s log came too fast and were dropped')
      source.dropped = 0
    }
    return told
  }

  async function cut(id: string): Promise<void> {
    Object.assign(sources.get(id) ?? {}, { entries: 0, characters: 0 })
    await store.logs.trimSandbox(id, sandboxMax)
  }

  async function trim(): Promise<void> {
    const now = clock.now()
    for (const [id, { entries, dropped, bucket }] of sources) {
      if (entries > 0) await cut(id)
      else if (dropped === 0 && bucket.isFull(now)) sources.delete(id)
    }
    await store.logs.trim({ before: now - keep.ms, endedBefore: now - keep.endedMs })
    await store.events.removeBefore(now - keep.ms)
  }
}

function charactersOf({ message, fields }: StoredLogEntry): number {
  return Object.values(fields).reduce((sum, value) => sum + value.length, message.length)
}
