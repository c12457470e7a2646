import { watch } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

/**
 * Calls `look` now, at each change of what `directory` holds, and after as many milliseconds as it returned, until it
 * returns true. Rejects with `look`'s error, or the signal's reason when it aborts first.
 */
export async function watchUntil(
  directory: string,
  look: () => Promise<true | number>,
  signal: AbortSignal,
): Promise<void> {
  let wake = () => {}
  const watcher = watch(directory, () => wake())
  // A watcher that fails (too many on this machine) leaves the timer.
  watcher.on('error', () => {})
  try {
    for (;;) {
      const changed = new Promise<void>((resolve) => {
        wake = resolve
      })
      signal.throwIfAborted()
      const wait = await look()
      if (wait === true) return
      const stop = new AbortController()
      const timer = delay(wait, undefined, { signal: AbortSignal.any([signal, stop.signal]) })
      await Promise.race([changed, timer]).finally(() => stop.abort())
    }
  } catch (error) {
    throw signal.aborted ? signal.reason : error
  } finally {
    watcher.close()
  }
}
