/** Images that no server owns: each that has the engine finds them, by their labels. */
import type { KeptImage } from '../../domain/images.ts'
import { splitImage, withTag } from '../../images/names.ts'
import { patientSignal } from '../../lib/patience.ts'
import { instanceLabel, keptLabel, noteLabel, snapshotLabel } from './container.ts'
import { type Engine, withSignal } from './engine.ts'
import { createReader, readerLabel, removeContainer } from './flatten-image.ts'
import type { DockerParts } from './parts.ts'

/** Longest time for removing what the copy went through, in milliseconds */
const cleanMs = 60_000

type Parts = Pick<DockerParts, 'engine' | 'instanceId' | 'log'>

/** As `Images.keep`: the layers are shared, as labels are all that is added. The source is there, the target isn't. */
export async function keepImage(
  parts: Parts,
  image: string,
  target: string,
  note: string,
  signal: AbortSignal,
): Promise<void> {
  const { engine, log } = parts
  const { repo, tag } = splitImage(target)
  const reader = await createReader(parts, image, signal)
  try {
    await engine.call(signal, async (docker, both) => {
      const { Config: config } = await docker.getImage(image).inspect({ abortSignal: both })
      const labels = {
        ...config.Labels,
        ...{ [instanceLabel]: '', [snapshotLabel]: '', [readerLabel]: '' },
        ...{ [keptLabel]: target, [noteLabel]: note },
      }
      const query = { container: reader, repo, tag, pause: 'false' }
      const body = { ...config, Labels: labels }
      await docker.getContainer(reader).commit(withSignal({ _query: query, _body: body }, both))
    })
  } finally {
    await removeContainer(engine, reader, patientSignal(cleanMs)).catch((error) =>
      log.warn({ err: error }, 'what an image was kept through is left to the next start'),
    )
  }
}

/** As `Images.kept`. */
export async function listKept(engine: Engine, signal: AbortSignal): Promise<KeptImage[]> {
  const found = await engine.call(signal, (docker, both) =>
    docker.listImages(withSignal({ filters: JSON.stringify({ label: [keptLabel] }) }, both)),
  )
  const kept = found.flatMap(({ Labels: labels, RepoTags: tags, Created: seconds }) => {
    const image = labels?.[keptLabel]
    // What is made of it inherits its labels, and has another name.
    if (image === undefined || !tags?.includes(withTag(image))) return []
    return [{ image, note: labels?.[noteLabel] ?? '', createdAt: seconds * 1000 }]
  })
  return kept.sort((one, other) => other.createdAt - one.createdAt)
}
