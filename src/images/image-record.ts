/** What is known of an image: which layers it is, and how it wants to be run. */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { ServerError } from '../domain/error.ts'
import type { ImageInfo } from '../domain/images.ts'

const layer = z.object({
  name: z.string().regex(/^[a-z0-9]{1,64}$/),
  sizeBytes: z.number().int().nonnegative(),
  /** The blob of a registry that it was last unpacked from, which is what its content was compared with */
  blob: z.object({ host: z.string(), digest: z.string() }).optional(),
})

const config = z.object({
  env: z.record(z.string(), z.string()),
  user: z.string(),
  workdir: z.string(),
  labels: z.record(z.string(), z.string()),
  architecture: z.string(),
  os: z.string(),
})

const record = z.object({
  version: z.literal(1),
  /** With its tag */
  image: z.string(),
  /** Lowest first */
  layers: z.array(layer).min(1),
  config,
  /** Whether this server made it of a guest */
  isOwn: z.boolean(),
  /** Of one that a Docker engine gave: its id there */
  engineId: z.string().optional(),
  /** Of one that is kept */
  note: z.string().optional(),
  /** Unix milliseconds */
  createdAt: z.number(),
})

export type Layer = z.infer<typeof layer>
export type Blob = NonNullable<Layer['blob']>
export type ImageConfig = z.infer<typeof config>
export type ImageRecord = z.infer<typeof record>

/** Undefined for what this server can't make sense of. */
export function parseRecord(text: string): ImageRecord | undefined {
  try {
    return record.parse(JSON.parse(text))
  } catch {
    return undefined
  }
}

export function toInfo({ layers, config, isOwn }: ImageRecord): ImageInfo {
  return {
    // Layers have names that are of their content, or that nothing else has.
    id: `sha256:${createHash('sha256')
      .update(JSON.stringify([layers.map(({ name, sizeBytes }) => ({ name, sizeBytes })), config]))
      .digest('hex')}`,
    env: config.env,
    user: config.user,
    workdir: config.workdir || '/',
    labels: config.labels,
    isOwn,
    layers: layers.length,
    sizeBytes: layers.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    architecture: config.architecture,
    os: config.os,
  }
}

/** Most of what an image may say of how it is run, in members of a list or map */
const membersMax = 10_000

const ociConfig = z.object({
  architecture: z.string().max(64).default(''),
  os: z.string().max(64).default(''),
  config: z
    .object({
      Env: z.array(z.string()).max(membersMax).nullish(),
      User: z.string().nullish(),
      WorkingDir: z.string().nullish(),
      Labels: z.record(z.string(), z.string()).nullish(),
    })
    .nullish(),
  rootfs: z.object({ diff_ids: z.array(z.string().regex(/^sha256:[0-9a-f]{64}$/)).min(1) }),
})

/** The configuration of an OCI or Docker image; `layers`: SHA-256 of each layer's tar, lowest first. */
export interface OciConfig {
  config: ImageConfig
  layers: string[]
}

/** Errors: `Error` with what is wrong about it. */
export function parseOciConfig(text: string): OciConfig {
  const { architecture, os, config, rootfs } = ociConfig.parse(JSON.parse(text))
  const pairs = (config?.Env ?? []).map((pair) => {
    const equals = pair.indexOf('=')
    return equals === -1 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)]
  })
  // What a server has said of an image of its own means nothing of this one.
  const labels = Object.entries(config?.Labels ?? {}).filter(([name]) => !name.startsWith('e2b-server.'))
  return {
    config: {
      env: Object.fromEntries(pairs),
      user: config?.User ?? '',
      workdir: config?.WorkingDir || '/',
      labels: Object.fromEntries(labels),
      architecture,
      os,
    },
    layers: rootfs.diff_ids.map((id) => id.slice('sha256:'.length)),
  }
}

export function packedWithZstd(what: string): ServerError {
  return new ServerError(
    'failed_precondition',
    `${what} has layers that are packed with zstd, which this server can't unpack. Use one that is packed with gzip.`,
  )
}
