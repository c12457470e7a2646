import { startPatience } from './patience.ts'

/** A signal that follows others until it is let go of. */
export interface LinkedSignal {
  readonly signal: AbortSignal
  /** Unlinks it; the signal then never aborts any more. */
  dispose(): void
}

/**
 * A signal that aborts with the first of `sources`, and with a `TimeoutError` after `timeoutMs` where that is given.
 * `AbortSignal.any` would do, but on Node 20 each use of it leaves something behind with a source that lives long.
 */
export function linkSignals(sources: readonly AbortSignal[], timeoutMs?: number): LinkedSignal {
  const controller = new AbortController()
  const abort = (reason: unknown) => {
    dispose()
    controller.abort(reason)
  }
  const links = sources.map((source) => ({ source, follow: () => abort(source.reason) }))
  const patience =
    timeoutMs === undefined
      ? undefined
      : startPatience(timeoutMs, () => abort(new DOMException('The time allowed is over.', 'TimeoutError')))
  const dispose = () => {
    patience?.stop()
    for (const { source, follow } of links) source.removeEventListener('abort', follow)
  }
  for (const { source, follow } of links) source.addEventListener('abort', follow, { once: true })
  const aborted = sources.find((source) => source.aborted)
  if (aborted !== undefined) abort(aborted.reason)
  return { signal: controller.signal, dispose }
}
