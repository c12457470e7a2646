/**
 * An image with the files of another in one layer. The engine takes about 125 layers, and each snapshot of a snapshot is one
 * more. The files go through this process as a tar, from the engine to the engine; file metadata (extended attributes), which
 * that leaves out, is copied between the layers.
 */
import { dirname } from 'node:path'
import type { Readable } from 'node:stream'
import type Docker from 'dockerode'
import { imageNotFound, splitImage } from '../../images/names.ts'
import { newId } from '../../lib/ids.ts'
import { patientSignal } from '../../lib/patience.ts'
import { cpusLabel, instanceLabel, sandboxLabel, snapshotLabel, transportLabel } from './container.ts'
import { type Engine, statusOf, withSignal } from './engine.ts'
import { overlayLayer } from './find-container.ts'
import { runHostTool } from './host-tool.ts'
import { jsonLines } from './json-lines.ts'
import type { DockerParts } from './parts.ts'
import { removeImage } from './remove-image.ts'

/** Of what a copy goes through, containers that never run and images: the server that makes it */
export const readerLabel = 'e2b-server.reader'
/** Longest time for a copy, in milliseconds: the engine copies some tens of megabytes a second */
const copyMs = 30 * 60_000
/** Longest time for removing what a copy went through, in milliseconds */
const cleanMs = 60_000

type Parts = Pick<DockerParts, 'engine' | 'engineHost' | 'instanceId' | 'hostBinary' | 'log'>

/** As `Images.flatten`, but that a target which is there gives its name away. Runs to its end or to `copyMs`. */
export async function flattenImage(parts: Parts, image: string, target: string): Promise<void> {
  const { engine, log } = parts
  const deadline = patientSignal(copyMs)
  const { repo, tag } = splitImage(target)
  const source = await inspect(engine, image, deadline)
  const bare = `e2b-server/flat:${newId()}`
  const containers: string[] = []
  try {
    const reader = await createReader(parts, source.Id, deadline)
    containers.push(reader)
    await copyFiles(parts, reader, bare, deadline)
    await copyMetadata(parts, source, await inspect(engine, bare, deadline), deadline)
    const writer = await createReader(parts, bare, deadline)
    containers.push(writer)
    const labels = ownLabels(parts.instanceId, target, source.Config.Labels)
    // What isn't said here would be the container's.
    const config = { ...source.Config, Labels: { ...labels, [readerLabel]: '' } }
    await engine.call(deadline, (docker, both) =>
      docker
        .getContainer(writer)
        .commit(
          withSignal({ _query: { container: writer, repo, tag, pause: 'false' }, _body: config }, both),
        ),
    )
  } finally {
    const clean = patientSignal(cleanMs)
    const steps = [
      ...containers.map((id) => () => removeContainer(engine, id, clean)),
      () => removeImage(engine, bare, clean),
    ]
    // What stays is found by its label, or is an image that nothing is made of.
    for (const step of steps)
      await step().catch((error) => log.warn({ err: error }, 'a copy is not cleaned up yet'))
  }
}

/** The labels of an image that this server has made, above those that it had before. */
export function ownLabels(
  instanceId: string,
  image: string,
  before: Record<string, string> | null | undefined = {},
): Record<string, string> {
  const { [readerLabel]: _, ...kept } = before ?? {}
  return {
    ...kept,
    [instanceLabel]: instanceId,
    [snapshotLabel]: image,
    // What isn't said here is the container's, and set anew for every container that is made of the image.
    [sandboxLabel]: '',
    [transportLabel]: '',
    [cpusLabel]: '',
  }
}

/** Removes what a crash in the middle of a copy has left. Nothing may be copied meanwhile. */
export async function removeReaders({ engine, instanceId }: Parts, signal: AbortSignal): Promise<void> {
  const filters = { label: [`${readerLabel}=${instanceId}`] }
  const { containers, images } = await engine.call(signal, async (docker, both) => ({
    containers: await docker.listContainers({ all: true, filters, abortSignal: both }),
    images: await docker.listImages(withSignal({ filters: JSON.stringify(filters) }, both)),
  }))
  for (const { Id: id } of containers) await removeContainer(engine, id, signal)
  for (const { Id: id } of images) await removeImage(engine, id, signal)
}

/** A container that only stands for an image's files. */
export function createReader(
  { engine, instanceId }: Pick<Parts, 'engine' | 'instanceId'>,
  image: string,
  signal: AbortSignal,
): Promise<string> {
  const body = {
    Image: image,
    // The engine wants a command; nobody runs it.
    Entrypoint: ['/'],
    Cmd: [],
    Labels: { [readerLabel]: instanceId, [sandboxLabel]: '', [snapshotLabel]: '' },
    HostConfig: { NetworkMode: 'none' },
  }
  return engine.call(
    signal,
    async (docker, both) => (await docker.createContainer(withSignal(body, both))).id,
  )
}

async function copyFiles(
  { engine, instanceId }: Parts,
  reader: string,
  target: string,
  signal: AbortSignal,
): Promise<void> {
  const name = { ...splitImage(target), changes: `LABEL ${readerLabel}=${instanceId}` }
  await engine.call(signal, async (docker, both) => {
    const exported = (await docker.getContainer(reader).export(withSignal({}, both))) as Readable
    // The import would wait for the rest of a stream that has broken off.
    const broken = new AbortController()
    exported.on('error', (error) => broken.abort(error))
    exported.on('close', () => {
      if (!exported.readableEnded) broken.abort(new Error('The engine broke off the copy of an image.'))
    })
    const either = AbortSignal.any([both, broken.signal])
    try {
      const progress = (await docker.importImage(exported, withSignal(name, either))) as Readable
      for await (const line of jsonLines(progress)) {
        const { error } = line as { error?: unknown }
        if (typeof error === 'string') throw new Error(error)
        engine.health.heard()
      }
    } finally {
      exported.destroy()
    }
  })
}

async function copyMetadata(
  { engineHost, hostBinary, log }: Parts,
  source: Docker.ImageInspectInfo,
  target: Docker.ImageInspectInfo,
  deadline: AbortSignal,
): Promise<void> {
  const [top, to] = [overlayLayer(source.GraphDriver), overlayLayer(target.GraphDriver)]
  if (top === undefined || to === undefined || !(await engineHost.isOurs(deadline))) {
    log.debug(
      {},
      "an image is flattened without its files' metadata: the layers of the engine are out of reach",
    )
    return
  }
  const args = ['copy-image-metadata', '--from', dirname(top), '--to', to]
  await runHostTool(hostBinary, args, { timeoutMs: copyMs, signal: deadline })
}

async function inspect(engine: Engine, image: string, signal: AbortSignal): Promise<Docker.ImageInspectInfo> {
  return engine.call(signal, async (docker, both) => {
    try {
      return await docker.getImage(image).inspect({ abortSignal: both })
    } catch (error) {
      throw statusOf(error) === 404 ? imageNotFound(image, error) : error
    }
  })
}

export function removeContainer(engine: Engine, id: string, signal: AbortSignal): Promise<void> {
  return engine.call(signal, async (docker, both) => {
    try {
      await docker.getContainer(id).remove(withSignal({ force: true, v: true }, both))
    } catch (error) {
      if (statusOf(error) !== 404) throw error
    }
  })
}
