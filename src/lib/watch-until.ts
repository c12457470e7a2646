import { type FSWatcher, watch } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

/** Longest pause between looks where the kernel tells of no changes, in milliseconds */
const blindMs = 20

/**
 * Calls `look` now, at each change of what `directory` holds, and after as many milliseconds as it returned, until it
 * returns true. Rejects with `look`'s error, or the signal's reason when it aborts first. The kernel's watches are few
 * and shared by all of a user's processes, with Docker also by root inside sandboxes: without one it looks by a timer.
 */
export async function watchUntil(
  directory: string,
  look: () => Promise<true | number>,
  signal: AbortSignal,
): Promise<void> {
  let wake = () => {}
  const watcher = tryWatch(directory, () => wake())
  try {
    for (;;) {
      const changed = new Promise<void>((resolve) => {
        wake = resolve
      })
      signal.throwIfAborted()
      const wait = await look()
      if (wait === true) return
      const stop = new AbortController()
      const pause = watcher.current === undefined ? Math.min(wait, blindMs) : wait
      const timer = delay(pause, undefined, { signal: AbortSignal.any([signal, stop.signal]) })
      await Promise.race([changed, timer]).finally(() => stop.abort())
    }
  } catch (error) {
    throw signal.aborted ? signal.reason : error
  } finally {
    watcher.current?.close()
  }
}

/** A watcher; none when there are no more to be had, which is an exception or an event, or once it has failed. */
function tryWatch(directory: string, onChange: () => void): { current: FSWatcher | undefined } {
  const held: { current: FSWatcher | undefined } = { current: undefined }
  try {
    const watcher = watch(directory, onChange)
    held.current = watcher
    watcher.on('error', () => {
      watcher.close()
      held.current = undefined
      onChange()
    })
  } catch {
    // The timer does.
  }
  return held
}
