/** Reports ends of guests and of the helper itself, and keeps what sandboxes may reach as it has to be, for as long as the signal allows. */

import { toError } from '../../domain/error.ts'
import type { RuntimeEvent } from '../../domain/runtime.ts'
import { sleep } from '../../lib/deadline.ts'
import { linkSignals } from '../../lib/linked-signal.ts'
import type { Log } from '../../lib/log.ts'
import type { HostClient } from './host-client.ts'

/** Pauses between attempts to hear the helper again, in milliseconds */
const backoffMs = { first: 100, most: 2000 }
/** How often the rules are looked at, and how long one look may take, in milliseconds */
const refreshMs = { pause: 30_000, limit: 20_000 }

/** Never throws; returns when the signal aborts. */
export async function watchHost(
  { client, listener, log }: { client: HostClient; listener: (event: RuntimeEvent) => void; log: Log },
  signal: AbortSignal,
): Promise<void> {
  let pauseMs = backoffMs.first
  let isDownTold = false
  const onGone = (sandboxId: string) => {
    if (!signal.aborted) listener({ type: 'guest-gone', sandboxId })
  }
  while (!signal.aborted) {
    try {
      const ended = await client.hear(onGone, signal)
      // Said at each connection: a caller who reconciles from here on misses nothing.
      listener({ type: 'engine-up' })
      isDownTold = false
      pauseMs = backoffMs.first
      await keepPrepared(client, log, { signal, ended })
    } catch (error) {
      if (signal.aborted) return
      const { message, cause } = toError(error)
      log.debug({ err: cause ?? error }, 'the helper is not heard')
      if (!isDownTold) listener({ type: 'engine-down', reason: message })
      isDownTold = true
      await sleep(pauseMs, signal).catch(() => {})
      pauseMs = Math.min(pauseMs * 2, backoffMs.most)
    }
  }
}

/** Returns when one of the signals aborts. */
async function keepPrepared(
  client: HostClient,
  log: Log,
  { signal, ended }: { signal: AbortSignal; ended: AbortSignal },
): Promise<void> {
  const both = linkSignals([signal, ended])
  try {
    while (!both.signal.aborted) {
      await sleep(refreshMs.pause, both.signal).catch(() => {})
      if (both.signal.aborted) return
      const bounded = linkSignals([both.signal], refreshMs.limit)
      await client
        .prepare(bounded.signal)
        .catch((error) => log.warn({ err: error }, 'what sandboxes may reach is not as it has to be'))
      bounded.dispose()
    }
  } finally {
    both.dispose()
  }
}
