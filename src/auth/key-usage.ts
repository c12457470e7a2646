import type { ApiKey, ApiKeyStore } from '../domain/team.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'

/** Time between two records of one key's use, in ms. */
const intervalMs = 60_000

/**
 * Records when keys are used: for each at most once a minute, and with nobody waiting for it. What is returned takes
 * the key as it was just read.
 */
export function recordKeyUsage(parts: { keys: ApiKeyStore; clock: Clock; log: Log }): (key: ApiKey) => void {
  const { keys, clock, log } = parts
  const writing = new Set<string>()
  return ({ id, lastUsedAt }) => {
    const now = clock.now()
    if (writing.has(id) || (lastUsedAt !== null && Math.abs(now - lastUsedAt) < intervalMs)) return
    writing.add(id)
    // The store's own work is synchronous in parts: it begins when the request that used the key has gone on.
    setImmediate(() => {
      void keys
        .touch(id, now)
        .catch((error) => log.warn({ err: error }, 'the use of an API key could not be recorded'))
        .finally(() => writing.delete(id))
    })
  }
}
