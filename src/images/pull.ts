/** Images from registries, layer by layer. */
import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { z } from 'zod'
import { ServerError } from '../domain/error.ts'
import type { PullOptions } from '../domain/images.ts'
import type { LayerHost } from '../domain/layers.ts'
import { forEachLimit } from '../lib/for-each-limit.ts'
import { type ImageConfig, type Layer, packedWithZstd, parseOciConfig } from './image-record.ts'
import type { Intake } from './intake.ts'
import { referenceOf } from './reference.ts'
import type { RegistryChoice } from './registry-choice.ts'
import {
  createRegistryClient,
  notFound,
  type RegistryClient,
  type RegistryClientOptions,
  textOf,
  unavailable,
} from './registry-client.ts'
import { loginOf } from './registry-login.ts'
import { spoolFile } from './spool.ts'

/** Longest manifest and configuration, in bytes */
const textMaxBytes = 4 << 20
const layersMax = 200
/** Layers of an image that come at once */
const layersAtOnce = 3
/** How often a layer is asked for again when its bytes break off */
const retriesMax = 2
/** Bytes after which progress is told again */
const progressBytes = 1 << 20

const descriptor = z.object({
  mediaType: z.string().max(256).default(''),
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  size: z.number().int().nonnegative(),
})
const manifestSchema = z.object({ config: descriptor, layers: z.array(descriptor).max(layersMax) })
const indexSchema = z.object({
  manifests: z
    .array(
      descriptor.extend({
        platform: z.object({ os: z.string(), architecture: z.string() }).optional(),
      }),
    )
    .max(1000),
})
type Descriptor = z.infer<typeof descriptor>

const indexTypes = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
]
const manifestTypes = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
]
/** As images name the machines they are for. */
const architectures: Record<string, string> = { x64: 'amd64', arm64: 'arm64' }

interface Pull extends RegistryClientOptions {
  client: RegistryClient
  intake: Intake
  host: LayerHost
  options: PullOptions
}

/** What the name means in its registry. Errors: those of `Images.pull`. */
export async function readRegistry(
  { image, intake, host }: { image: string; intake: Intake; host: LayerHost },
  registries: RegistryChoice,
  options: PullOptions,
  signal: AbortSignal,
): Promise<{ layers: Layer[]; config: ImageConfig }> {
  const { credentials } = options
  // A user's password for Docker Hub is none of a mirror's business.
  const reference = referenceOf(image, credentials === undefined ? registries.mirror : undefined)
  const login = credentials && (await loginOf(credentials, registries.ecrEndpoint, signal))
  const of = { image, reference, login, allow: registries.allow, signal }
  const pull: Pull = { ...of, client: createRegistryClient(of), intake, host, options }
  const manifest = await readManifest(pull)
  const configText = await readText(pull, `blobs/${manifest.config.digest}`, '*/*', manifest.config.digest)
  const { config, layers: hashes } = understood(pull, () => parseOciConfig(configText))
  if (hashes.length !== manifest.layers.length) throw senseless(pull)
  const layers: Layer[] = []
  await forEachLimit(manifest.layers.entries(), layersAtOnce, async ([index, each]) => {
    layers[index] = await readLayer(pull, each, hashes[index]!)
  })
  return { layers, config }
}

async function readManifest(pull: Pull) {
  const { image, reference, options } = pull
  const accept = [...indexTypes, ...manifestTypes].join(', ')
  const asked = reference.version.startsWith('sha256:') ? reference.version : undefined
  const text = await readText(pull, `manifests/${reference.version}`, accept, asked)
  const index = understood(pull, () => indexSchema.safeParse(JSON.parse(text)))
  if (!index.success) return understood(pull, () => manifestSchema.parse(JSON.parse(text)))
  const [os, architecture] = (options.platform ?? `linux/${architectures[process.arch]}`).split('/')
  const fit = index.data.manifests.find(
    ({ platform }) => platform?.os === os && platform?.architecture === architecture,
  )
  if (fit === undefined)
    throw new ServerError(
      'not_found',
      `${reference.registry} has no image ${image} for this machine's kind of CPU.`,
    )
  const chosen = await readText(pull, `manifests/${fit.digest}`, manifestTypes.join(', '), fit.digest)
  return understood(pull, () => manifestSchema.parse(JSON.parse(chosen)))
}

/** A text of that digest, where one is given. */
async function readText(
  pull: Pull,
  path: string,
  accept: string,
  digest: string | undefined,
): Promise<string> {
  const answer = await pull.client.get(path, accept)
  const text = await textOf(answer, textMaxBytes).catch((error) => {
    pull.signal.throwIfAborted()
    throw unavailable(pull, error)
  })
  if (digest !== undefined && `sha256:${createHash('sha256').update(text).digest('hex')}` !== digest)
    throw senseless(pull)
  return text
}

/**
 * One that is here needn't come again where the registry that it is from shows its blob to these credentials: what an image's
 * configuration says proves nothing, as anybody may write the hash of another's layer into it, nor does what another registry says.
 */
async function readLayer(pull: Pull, of: Descriptor, sha256: string): Promise<Layer> {
  const { intake, options, signal } = pull
  const layer = of.digest.slice('sha256:'.length, 'sha256:'.length + 12)
  const blob = { host: pull.reference.host, digest: of.digest }
  const known = intake.known(sha256, blob)
  if (known !== undefined && (await pull.client.has(`blobs/${of.digest}`))) {
    options.onProgress?.({ layer, status: 'Already exists' })
    return known
  }
  if (/zstd/.test(of.mediaType)) throw packedWithZstd(`The image ${pull.image}`)
  for (let retries = 0; ; retries++) {
    try {
      const upload = await spoolFile(pull.host, intake.newUpload(), unpacked(pull, of, layer), signal)
      if (upload.sha256 !== sha256) throw senseless(pull)
      const made = await intake.layer(upload)
      options.onProgress?.({ layer, status: 'Pull complete' })
      return { ...made, blob }
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof ServerError && error.code !== 'unavailable') throw error
      if ((error as NodeJS.ErrnoException).code === 'ENOSPC') throw error
      if (retries === retriesMax) throw error instanceof ServerError ? error : unavailable(pull, error)
    }
  }
}

/** The layer's tar; what came is what its digest says by the time it ends. */
async function* unpacked(pull: Pull, of: Descriptor, layer: string): AsyncGenerator<Buffer> {
  const answer = await pull.client.get(`blobs/${of.digest}`, '*/*')
  const source = Readable.from(checked(pull, answer, of, layer))
  if (!/gzip/.test(of.mediaType)) return yield* source
  const gunzip = createGunzip()
  source.on('error', (error) => gunzip.destroy(error))
  try {
    yield* source.pipe(gunzip)
  } finally {
    source.destroy()
    gunzip.destroy()
  }
}

/** Passes the bytes on, and ends well only if they are those of the digest. */
async function* checked(
  pull: Pull,
  answer: AsyncIterable<Buffer>,
  of: Descriptor,
  layer: string,
): AsyncGenerator<Buffer> {
  const hash = createHash('sha256')
  let [doneBytes, toldBytes] = [0, 0]
  for await (const chunk of answer) {
    hash.update(chunk)
    doneBytes += chunk.length
    if (doneBytes > of.size) throw senseless(pull)
    if (doneBytes - toldBytes >= progressBytes) {
      toldBytes = doneBytes
      pull.options.onProgress?.({ layer, status: 'Downloading', doneBytes, totalBytes: of.size })
    }
    yield chunk
  }
  if (`sha256:${hash.digest('hex')}` !== of.digest) throw senseless(pull)
}

function understood<T>(pull: Pull, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw senseless(pull, error)
  }
}

function senseless({ image, reference: { registry } }: Pull, cause?: unknown): ServerError {
  return notFound(image, registry, cause ?? new Error('What the registry sends is not what it names.'))
}
