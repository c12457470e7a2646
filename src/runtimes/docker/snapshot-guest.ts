/**
 * An image of a guest's file system: the engine's commit of its container. A guest that runs is frozen for the copy by
 * us and not by the engine, because file metadata, which the engine's copy leaves out, is added under the same freeze.
 */

import { setTimeout as delay } from 'node:timers/promises'
import { ServerError, toError } from '../../domain/error.ts'
import { invalidImageName, splitImage } from '../../images/names.ts'
import { abortable } from '../../lib/deadline.ts'
import { newId } from '../../lib/ids.ts'
import { patientSignal } from '../../lib/patience.ts'
import { instanceLabel, snapshotLabel } from './container.ts'
import { type Engine, reasonOf, statusOf, withSignal } from './engine.ts'
import { containerNotFound, type FoundContainer, getContainer, overlayLayer } from './find-container.ts'
import { flattenImage, ownLabels, readerLabel } from './flatten-image.ts'
import { freeze, thaw } from './freeze.ts'
import type { DockerGuest } from './handle.ts'
import { runHostTool } from './host-tool.ts'
import { inspectImage } from './images.ts'
import type { DockerParts } from './parts.ts'
import { removeImage } from './remove-image.ts'

/** Longest time for the copy, in milliseconds: the engine copies some tens of megabytes a second */
const copyMs = 30 * 60_000
/** Longest time for undoing a failed snapshot, once the engine is done with it, in milliseconds */
const undoMs = 60_000
/** How long a caller waits for that, in milliseconds; then it goes on without */
const undoWaitMs = 5_000

/** Errors as `Runtime.snapshot`. */
export async function snapshotGuest(
  parts: DockerParts,
  guest: DockerGuest,
  image: string,
  signal: AbortSignal,
): Promise<void> {
  splitImage(image)
  const { engine } = parts
  const found = await getContainer(parts, guest, signal)
  await refuseExisting(engine, image, signal)
  const below = await inspectImage(engine, found.image, signal)
  const isDeep = (below?.layers ?? 0) >= parts.layersMax
  // A deep one is a step on the way, and nobody's image.
  const copyName = isDeep ? `e2b-server/deep:${newId()}` : image
  const isRunning = found.condition === 'running'
  if (isRunning) await freeze(parts, guest)
  // Not ended by the caller's signal: the engine goes on with what it has begun, and the image has to be removed then.
  let work = copy(parts, found, { image: copyName, isStep: isDeep })
  try {
    try {
      await abortable(work, signal)
    } finally {
      if (isRunning) await thaw(parts, guest)
    }
    if (isDeep) {
      work = flattenImage(parts, copyName, image)
      await abortable(work, signal)
      await removeImage(engine, copyName, signal)
    }
  } catch (error) {
    const undone = undo(parts, isDeep ? [image, copyName] : [image], work)
    await Promise.race([undone, delay(undoWaitMs, undefined, { ref: false })])
    throw error
  }
}

/** `isStep`: it is not to be found as an image of the server's. */
async function copy(
  parts: DockerParts,
  { guest, layer }: FoundContainer,
  { image, isStep }: { image: string; isStep: boolean },
): Promise<void> {
  const { engine, instanceId } = parts
  const deadline = patientSignal(copyMs)
  const labels = ownLabels(instanceId, image)
  const stepLabels = { ...labels, [instanceLabel]: '', [snapshotLabel]: '', [readerLabel]: instanceId }
  const request = {
    _query: { container: guest.containerId, ...splitImage(image), pause: 'false' },
    _body: { Labels: isStep ? stepLabels : labels },
  }
  await engine
    .call(deadline, (docker, both) =>
      docker.getContainer(guest.containerId).commit(withSignal(request, both)),
    )
    .catch((error) => Promise.reject(commitError(error, guest.sandboxId, image)))
  await copyMetadata(parts, layer, image, deadline)
}

/** File metadata (extended attributes) from the container's layer to the image's, which nobody uses yet. */
async function copyMetadata(
  { engine, engineHost, hostBinary, log }: DockerParts,
  layer: string | undefined,
  image: string,
  deadline: AbortSignal,
): Promise<void> {
  const { GraphDriver } = await engine.call(deadline, (docker, both) =>
    docker.getImage(image).inspect({ abortSignal: both }),
  )
  const target = overlayLayer(GraphDriver)
  if (layer === undefined || target === undefined || !(await engineHost.isOurs(deadline))) {
    log.debug(
      { image },
      "a snapshot is without its files' metadata: the layers of the engine are out of reach",
    )
    return
  }
  const args = ['copy-metadata', '--from', layer, '--to', target]
  await runHostTool(hostBinary, args, { timeoutMs: copyMs, signal: deadline })
}

/** Once the engine is done, so that nothing appears afterwards. Never rejects: reconciliation finds what is left. */
async function undo({ engine, log }: DockerParts, images: string[], copied: Promise<void>): Promise<void> {
  const failure = await copied.then(
    () => undefined,
    (error) => error,
  )
  // Somebody else's image of that name is not ours to remove.
  if (failure instanceof ServerError && failure.code === 'conflict') return
  for (const image of images) {
    try {
      await removeImage(engine, image, patientSignal(undoMs))
    } catch (error) {
      log.warn({ err: error, image }, 'a failed snapshot is not undone yet')
    }
  }
}

async function refuseExisting(engine: Engine, image: string, signal: AbortSignal): Promise<void> {
  if ((await inspectImage(engine, image, signal)) === undefined) return
  throw new ServerError('conflict', `There is an image ${image} already.`)
}

function commitError(error: unknown, sandboxId: string, image: string): ServerError {
  const cause = error instanceof ServerError ? error.cause : error
  const reason = reasonOf(cause)
  if (/invalid (reference format|tag format)|repository name must/i.test(reason)) {
    return invalidImageName(image, error)
  }
  if (statusOf(cause) === 404) {
    return containerNotFound(sandboxId, error)
  }
  return toError(error)
}
