/** An image of a guest's file system: its own layers, and one more of what it has changed. */
import type { LayeredImages, LayerHost } from '../../domain/layers.ts'
import { newId } from '../../lib/ids.ts'
import type { Log } from '../../lib/log.ts'
import { patientSignal } from '../../lib/patience.ts'
import { textOf, textsOf, wholeOf } from './answers.ts'
import type { HostClient } from './host-client.ts'

/** Longest time for removing what a failed snapshot has made, in milliseconds */
const undoMs = 60_000

export interface SnapshotParts {
  client: HostClient
  layers: LayerHost
  images: LayeredImages
  /** With so many layers a snapshot becomes one: each costs every later mount and look-up */
  layersMax: number
  log: Log
}

/** Errors as `Runtime.snapshot`. */
export async function snapshotGuest(
  parts: SnapshotParts,
  { sandboxId, image, brief }: { sandboxId: string; image: string; brief: boolean },
  signal: AbortSignal,
): Promise<void> {
  const { client, images } = parts
  const made: string[] = []
  try {
    const layer = newLayer(made)
    const answer = await client.call('snapshot', { sandbox: sandboxId, layer, brief }, signal)
    const copied = wholeOf(answer, 'sizeBytes')
    const all = [...textsOf(answer, 'layers'), layer]
    const { layers, sizeBytes } =
      all.length > parts.layersMax
        ? await flatten(parts, all, made, signal)
        : { layers: all, sizeBytes: copied }
    await images.add(image, { from: textOf(answer, 'note'), layers, sizeBytes, brief }, signal)
    await remove(
      parts,
      made.filter((each) => !layers.includes(each)),
    )
  } catch (error) {
    await remove(parts, made)
    throw error
  }
}

async function flatten(
  { layers }: SnapshotParts,
  all: readonly string[],
  made: string[],
  signal: AbortSignal,
): Promise<{ layers: string[]; sizeBytes: number }> {
  const flat = newLayer(made)
  const { sizeBytes } = await layers.flatten(all, flat, signal)
  return { layers: [flat], sizeBytes }
}

function newLayer(made: string[]): string {
  const layer = newId()
  made.push(layer)
  return layer
}

/** Never rejects: what is left is found by the store's next start. */
async function remove({ layers, log }: SnapshotParts, names: readonly string[]): Promise<void> {
  for (const name of names) {
    await layers
      .removeLayer(name, patientSignal(undoMs))
      .catch((error) => log.warn({ err: error, layer: name }, 'a layer that nobody needs is not removed yet'))
  }
}
