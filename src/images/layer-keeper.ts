/** Which layers are needed, which are being made, and the removal of all others. */

import { ServerError } from '../domain/error.ts'
import type { LayerHost } from '../domain/layers.ts'
import type { Clock } from '../lib/clock.ts'
import { abortable } from '../lib/deadline.ts'
import type { Layer } from './image-record.ts'

/**
 * How long nobody must have needed a layer before it goes, in milliseconds: between the making of a guest's copy and its record
 * as an image it is nobody's.
 */
const unneededMs = 10 * 60_000

export interface LayerKeeper {
  /** Layers that aren't removed until what it returns is called. */
  hold(names: readonly string[]): () => void
  /** Makes a layer, once for all who want it at a time. */
  make(name: string, make: () => Promise<number>, signal: AbortSignal): Promise<Layer>
  /** Removes those that nobody needs by now. Errors: `conflict`, where a guest has the topmost of them. */
  release(names: readonly string[], signal: AbortSignal): Promise<void>
  /** Removes what nobody has needed for a while. Errors: those of `LayerHost`. */
  sweep(signal: AbortSignal): Promise<void>
}

/** `isNeeded`: by the record of an image. */
export function createLayerKeeper(
  host: LayerHost,
  isNeeded: (name: string) => boolean,
  clock: Clock,
): LayerKeeper {
  const held = new Map<string, number>()
  const making = new Map<string, Promise<number>>()
  const removing = new Map<string, Promise<void>>()
  /** Since when nobody needs a layer */
  const unneeded = new Map<string, number>()
  const isFree = (name: string) => !isNeeded(name) && !held.has(name) && !making.has(name)

  /** Unless somebody needs it by now; who wants to make it again waits for the end of this. */
  const remove = async (name: string, signal: AbortSignal) => {
    if (!isFree(name)) return
    const removal = host.removeLayer(name, signal)
    removing.set(name, removal)
    try {
      await removal
    } finally {
      if (removing.get(name) === removal) removing.delete(name)
    }
  }
  const removeUnused = async (name: string, signal: AbortSignal) => {
    await remove(name, signal).catch((error) => {
      if (!(error instanceof ServerError) || error.code !== 'conflict') throw error
    })
  }

  return {
    hold(names) {
      for (const name of names) held.set(name, (held.get(name) ?? 0) + 1)
      let isHeld = true
      return () => {
        if (!isHeld) return
        isHeld = false
        for (const name of names) {
          const left = (held.get(name) ?? 1) - 1
          if (left > 0) held.set(name, left)
          else held.delete(name)
        }
      }
    },

    async make(name, make, signal) {
      const removed = Promise.resolve(removing.get(name)).catch(() => {})
      const running = making.get(name) ?? removed.then(make).finally(() => making.delete(name))
      making.set(name, running)
      return { name, sizeBytes: await abortable(running, signal) }
    },

    async release(names, signal) {
      // From the top: a guest of the image has all of its layers. One that is of fewer has kept those it has.
      const [top, ...others] = names.toReversed().filter(isFree)
      if (top !== undefined) await remove(top, signal)
      for (const name of others) await removeUnused(name, signal)
    },

    async sweep(signal) {
      const now = clock.now()
      const there = await host.layers(signal)
      for (const name of unneeded.keys()) if (!there.includes(name)) unneeded.delete(name)
      for (const name of there) {
        if (!isFree(name)) {
          unneeded.delete(name)
          continue
        }
        const since = unneeded.get(name) ?? now
        unneeded.set(name, since)
        if (now - since < unneededMs) continue
        await removeUnused(name, signal)
      }
    },
  }
}
