/** Stands among a stream's values for a time of silence. */
export const keepalive = Symbol('keepalive')

/**
 * A source's values, and `keepalive` after each `intervalMs` without one. The source is let go of when the consumer
 * stops. One timer serves the whole stream and values make no further garbage, as streams are long and fast.
 */
export async function* withKeepalive<T>(
  source: AsyncIterator<T, undefined>,
  intervalMs: number,
): AsyncGenerator<T | typeof keepalive, void> {
  const waiting: { isIdle: boolean; wake: () => void } = { isIdle: false, wake() {} }
  const timer = setTimeout(() => {
    waiting.isIdle = true
    waiting.wake()
  }, intervalMs)
  try {
    for (;;) {
      const next = track(source.next(), () => waiting.wake())
      while (!next.isSettled) {
        if (waiting.isIdle) {
          yield keepalive
          waiting.isIdle = false
          timer.refresh()
        } else {
          await new Promise<void>((resolve) => {
            waiting.wake = resolve
          })
        }
      }
      const result = await next.promise
      if (result.done) return
      waiting.isIdle = false
      timer.refresh()
      yield result.value
    }
  } finally {
    clearTimeout(timer)
    await source.return?.()
  }
}

/** A promise that tells whether it has settled. */
function track<T>(promise: Promise<T>, onSettled: () => void): { promise: Promise<T>; isSettled: boolean } {
  const tracked = { promise, isSettled: false }
  const settle = () => {
    tracked.isSettled = true
    onSettled()
  }
  promise.then(settle, settle)
  return tracked
}
