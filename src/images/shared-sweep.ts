import { ServerError } from '../domain/error.ts'
import type { LayerHost } from '../domain/layers.ts'
import type { Clock } from '../lib/clock.ts'
import type { RecordFiles } from './record-files.ts'

/** Pause between two looks, in milliseconds */
const pauseMs = 60 * 60_000

/**
 * Removes shared layers that no kept image has, once an hour. One that was shared within the last hour isn't removed by the helper,
 * as its record may be about to be written by another server.
 */
export function createSharedSweep(
  host: LayerHost,
  shared: RecordFiles,
  clock: Clock,
): (signal: AbortSignal) => Promise<void> {
  let last = Number.NEGATIVE_INFINITY
  return async (signal) => {
    const now = clock.now()
    if (now - last < pauseMs) return
    last = now
    await shared.clean(Date.now() - pauseMs)
    const there = await host.sharedLayers(signal)
    const { records, isWhole } = await shared.list()
    if (!isWhole) return
    const needed = new Set(records.flatMap(({ layers }) => layers.map(({ name }) => name)))
    for (const name of there) {
      if (needed.has(name)) continue
      await host.removeShared(name, signal).catch((error) => {
        if (!(error instanceof ServerError) || error.code !== 'conflict') throw error
      })
    }
  }
}
