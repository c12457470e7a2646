/**
 * An image of a guest's file system: the engine's commit of its container. A guest that runs is frozen for the copy by
 * us and not by the engine, because file metadata, which the engine's copy leaves out, is added under the same freeze.
 */

import { setTimeout as delay } from 'node:timers/promises'
import { ServerError, toError } from '../../domain/error.ts'
import { abortable } from '../../lib/deadline.ts'
import { patientSignal } from '../../lib/patience.ts'
import { cpusLabel, instanceLabel, sandboxLabel, snapshotLabel, transportLabel } from './container.ts'
import { type Engine, reasonOf, statusOf, withSignal } from './engine.ts'
import { containerNotFound, type FoundContainer, getContainer, overlayLayer } from './find-container.ts'
import { freeze, thaw } from './freeze.ts'
import type { DockerGuest } from './handle.ts'
import { runHostTool } from './host-tool.ts'
import { invalidImageName, removeImage, splitImage } from './images.ts'
import type { DockerParts } from './parts.ts'

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
  const { repo, tag } = splitImage(image)
  const found = await getContainer(parts, guest, signal)
  await refuseExisting(parts.engine, image, signal)
  const isRunning = found.condition === 'running'
  if (isRunning) await freeze(parts, guest)
  // Not ended by the caller's signal: the engine goes on with what it has begun, and the image has to be removed then.
  const copied = copy(parts, found, { image, repo, tag })
  try {
    try {
      await abortable(copied, signal)
    } finally {
      if (isRunning) await thaw(parts, guest)
    }
  } catch (error) {
    await Promise.race([undo(parts, image, copied), delay(undoWaitMs, undefined, { ref: false })])
    throw error
  }
}

async function copy(
  parts: DockerParts,
  { guest, layer }: FoundContainer,
  { image, repo, tag }: { image: string; repo: string; tag: string },
): Promise<void> {
  const { engine, instanceId } = parts
  const deadline = patientSignal(copyMs)
  // What isn't said here is the container's, and set anew for every container that is made of the image.
  const labels = {
    [instanceLabel]: instanceId,
    [snapshotLabel]: image,
    [sandboxLabel]: '',
    [transportLabel]: '',
    [cpusLabel]: '',
  }
  const request = {
    _query: { container: guest.containerId, repo, tag, pause: 'false' },
    _body: { Labels: labels },
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
  { engine, engineHost, guestBinary, log }: DockerParts,
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
  await runHostTool(guestBinary, args, { timeoutMs: copyMs, signal: deadline })
}

/** Once the engine is done, so that nothing appears afterwards. Never rejects: reconciliation finds what is left. */
async function undo({ engine, log }: DockerParts, image: string, copied: Promise<void>): Promise<void> {
  const failure = await copied.then(
    () => undefined,
    (error) => error,
  )
  // Somebody else's image of that name is not ours to remove.
  if (failure instanceof ServerError && failure.code === 'conflict') return
  try {
    await removeImage(engine, image, patientSignal(undoMs))
  } catch (error) {
    log.warn({ err: error, image }, 'a failed snapshot is not undone yet')
  }
}

async function refuseExisting(engine: Engine, image: string, signal: AbortSignal): Promise<void> {
  await engine.call(signal, async (docker, both) => {
    try {
      await docker.getImage(image).inspect({ abortSignal: both })
    } catch (error) {
      if (statusOf(error) === 404) return
      throw error
    }
    throw new ServerError('conflict', `There is an image ${image} already.`)
  })
}

function commitError(error: unknown, sandboxId: string, image: string): ServerError {
  const cause = error instanceof ServerError ? error.cause : error
  const reason = reasonOf(cause)
  if (/max depth exceeded/i.test(reason)) {
    return new ServerError(
      'resource_exhausted',
      'The sandbox descends from too many snapshots of one another: the engine takes about 120.',
      { cause: error },
    )
  }
  if (/invalid (reference format|tag format)|repository name must/i.test(reason)) {
    return invalidImageName(image, error)
  }
  if (statusOf(cause) === 404) {
    return containerNotFound(sandboxId, error)
  }
  return toError(error)
}
