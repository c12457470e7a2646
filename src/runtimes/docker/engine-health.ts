/**
 * Whether the engine answers. Pings run only while somebody uses the engine. A refused connection is "down" at once;
 * silence is "down" after `silenceMs` of our own time, and any answer, also that of another call, ends the silence, so that a busy
 * engine isn't taken for a dead one. The two times together stay below the 2 s that the runtime contract allows.
 */

import { setTimeout as delay } from 'node:timers/promises'
import { ServerError } from '../../domain/error.ts'
import type { Log } from '../../lib/log.ts'
import { type OwnTime, startOwnTime, startPatience } from '../../lib/patience.ts'

/** Pause between pings, in milliseconds */
const intervalMs = 300
/** Silence that counts as death, in milliseconds */
const silenceMs = 1500
/** Longest wait for the ping of an engine that is down, so that its return is noticed soon, in milliseconds */
const downPingMs = 500
/** How often our own time is counted, and the shortest wait for a ping, in milliseconds */
const beatMs = 100
const pingMinMs = 200
/** Connection errors that mean that nobody listens, or not for us */
const refusals = new Set(['ECONNREFUSED', 'ENOENT', 'EACCES', 'ENOTSOCK'])

/** A use of the engine, to be released. */
export interface EngineUse {
  /** Aborts, with an `unavailable` error as reason, when the engine goes down; it may be down already */
  down: AbortSignal
  release(): void
}

export interface EngineHealth {
  use(): EngineUse
  /** Tells that the engine has just answered something. */
  heard(): void
  /** Calls back on each change while the engine is in use; `reason` is a sentence. Returns the way to stop. */
  onChange(listener: (change: { up: boolean; reason: string }) => void): () => void
  close(): void
}

export function createEngineHealth(options: {
  ping: (signal: AbortSignal) => Promise<unknown>
  socketPath: string
  log: Log
}): EngineHealth {
  const listeners = new Set<(change: { up: boolean; reason: string }) => void>()
  const closed = new AbortController()
  let state: 'unknown' | 'up' | 'down' = 'unknown'
  let down = new AbortController()
  let users = 0
  let watching = false
  let lastHeard = 0
  let time: OwnTime | undefined

  const change = (reason?: string, errno?: string) => {
    const next = reason === undefined ? 'up' : 'down'
    if (next === state) return
    const known = state !== 'unknown'
    state = next
    if (reason !== undefined) {
      options.log.warn({ reason }, 'the Docker engine is down')
      down.abort(new ServerError('unavailable', reason, { retryAfterS: 1, errno }))
    } else if (known) {
      options.log.info({}, 'the Docker engine is back')
      down = new AbortController()
    }
    if (known || reason !== undefined) {
      for (const listener of listeners) listener({ up: reason === undefined, reason: reason ?? '' })
    }
  }

  const watch = async () => {
    watching = true
    time = startOwnTime(beatMs)
    lastHeard = time.now()
    while (users > 0 && !closed.signal.aborted) {
      const timeoutMs = state === 'down' ? downPingMs : Math.max(pingMinMs, silenceMs - silence())
      const outcome = await tryPing(options.ping, timeoutMs, closed.signal)
      if (closed.signal.aborted) break
      if (outcome === 'answered') lastHeard = time.now()
      if (outcome === 'answered') change()
      else if (outcome !== 'silent')
        change(`The Docker engine does not answer at ${options.socketPath}.`, outcome)
      else if (state !== 'down' && silence() >= silenceMs) change('The Docker engine does not answer.')
      if (outcome !== 'silent' || state === 'down') {
        await delay(intervalMs, undefined, { signal: closed.signal }).catch(() => {})
      }
    }
    watching = false
    time.stop()
    // What was true when the last user left may be wrong when the next one comes.
    if (state === 'down' && !closed.signal.aborted) down = new AbortController()
    state = 'unknown'
  }
  const silence = () => (time?.now() ?? 0) - lastHeard

  return {
    use() {
      users++
      if (!watching && !closed.signal.aborted) void watch()
      let held = true
      return {
        down: down.signal,
        release() {
          if (held) users--
          held = false
        },
      }
    },
    heard() {
      lastHeard = time?.now() ?? 0
    },
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    close() {
      closed.abort()
      down.abort(new ServerError('unavailable', 'The Docker runtime is closed.'))
    },
  }
}

/**
 * One ping. A refusal comes back as its system error name; other errors (a connection reset by a restarting engine) are
 * silence, and the next ping tells.
 */
async function tryPing(
  ping: (signal: AbortSignal) => Promise<unknown>,
  timeoutMs: number,
  closed: AbortSignal,
): Promise<'answered' | 'silent' | (string & {})> {
  const attempt = new AbortController()
  const abort = () => attempt.abort(new Error('no answer to the ping in time'))
  closed.addEventListener('abort', abort, { once: true })
  const patience = startPatience(timeoutMs, abort)
  try {
    await ping(attempt.signal)
    return 'answered'
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== undefined && refusals.has(code)) return code
    // Not all silence takes time; a connection that is reset at once must not make this spin.
    if (!attempt.signal.aborted) await delay(50, undefined, { signal: closed }).catch(() => {})
    return 'silent'
  } finally {
    patience.stop()
    closed.removeEventListener('abort', abort)
  }
}
