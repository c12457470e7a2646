/** Frees what templates took and nobody uses: old builds without a tag, and what of the cache is beyond its quota. */
import { ServerError } from '../domain/error.ts'
import type { Images } from '../domain/images.ts'
import type { Store } from '../domain/store.ts'
import { readMadeOf, type TemplateBuild } from '../domain/template-build.ts'
import type { Collected } from '../domain/template-builder.ts'
import type { Layer, TemplateFile } from '../domain/template-layer.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import { freeableLayers } from './freeable-layers.ts'
import type { LayerCache } from './layer-cache.ts'

const dayMs = 24 * 3600_000
/** How long a build is kept after a newer one has come, and how long one that has failed, in ms. */
const keep = { supersededMs: 7 * dayMs, failedMs: 30 * dayMs }
/** An archive that was used within this time stays, in ms: a build may be about to read it. */
const fileMs = 2 * 3600_000

export interface GarbageParts {
  store: Pick<Store, 'builds' | 'layers' | 'sandboxes' | 'tags' | 'templateFiles'>
  images: Pick<Images, 'remove' | 'kept'>
  cache: Pick<LayerCache, 'exclusive'>
  /** Whether a running build uses an image */
  isHeld: (image: string) => boolean
  /** Removes an uploaded archive with its record. */
  removeFile: (teamId: string, hash: string) => Promise<void>
  /** What layers that no build has and uploaded archives may take together, in bytes */
  quotaBytes: number
  clock: Clock
  log: Log
}

/**
 * Frees what it can, with `quotaBytes` in place of the usual quota where that is given: 0 empties the cache. Errors: those
 * of the store; `unavailable` when the engine doesn't answer.
 */
export async function collectGarbage(
  parts: GarbageParts,
  signal: AbortSignal,
  { quotaBytes = parts.quotaBytes }: { quotaBytes?: number | undefined } = {},
): Promise<Collected> {
  const builds = await dropBuilds(parts, signal)
  const collected = { builds, layers: 0, files: 0, bytes: 0 }
  const candidates = await freeable(parts, signal)
  let held = candidates.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  for (const candidate of candidates) {
    if (held <= quotaBytes) break
    signal.throwIfAborted()
    if ('hash' in candidate) {
      await parts.removeFile(candidate.teamId, candidate.hash)
      collected.files++
    } else {
      if (!(await dropLayer(parts, candidate, signal))) continue
      collected.layers++
    }
    held -= candidate.sizeBytes
    collected.bytes += candidate.sizeBytes
  }
  return collected
}

/** Layers that belong to the cache alone, and archives, in the order in which they are to go. */
async function freeable(
  { store, images, isHeld, clock }: GarbageParts,
  signal: AbortSignal,
): Promise<(Layer | TemplateFile)[]> {
  const used = await usedImages(store)
  // What a kept image was made of shares its disk with it.
  for (const { note } of await images.kept(signal)) used.add(readMadeOf(note) ?? '')
  const layers = await store.layers.list({})
  const free = freeableLayers(layers, (image) => used.has(image) || isHeld(image))
  const unusedSince = clock.now() - fileMs
  const files = (await store.templateFiles.list({})).filter(({ lastUsedAt }) => lastUsedAt < unusedSince)
  const byAge = [...free, ...files.map((file) => ({ item: file, lastUsedAt: file.lastUsedAt }))]
  // Stable, so that what goes together stays in its order.
  return byAge.sort((one, other) => one.lastUsedAt - other.lastUsedAt).map(({ item }) => item)
}

async function usedImages(store: GarbageParts['store']): Promise<Set<string>> {
  const rows = [...(await store.builds.list({})), ...(await store.sandboxes.list({}))]
  return new Set(rows.flatMap(({ image }) => image ?? []))
}

/** Forgets a layer, and removes its image unless somebody has begun to use it. */
async function dropLayer(
  parts: GarbageParts,
  { teamId, key, image }: Layer,
  signal: AbortSignal,
): Promise<boolean> {
  return parts.cache.exclusive(image, async () => {
    if (parts.isHeld(image)) return false
    await parts.store.layers.remove(teamId, key)
    await releaseImage(parts, image, signal)
    return true
  })
}

/** Removes an image that no row and no build has any more; only inside `exclusive`. */
async function releaseImage(
  { store, images, isHeld }: GarbageParts,
  image: string,
  signal: AbortSignal,
): Promise<void> {
  const users = await Promise.all([
    store.builds.list({ image, limit: 1 }),
    store.layers.list({ image, limit: 1 }),
    store.sandboxes.list({ image, limit: 1 }),
  ])
  if (isHeld(image) || users.some((rows) => rows.length > 0)) return
  try {
    await images.remove(image, signal)
  } catch (error) {
    // Somebody started a guest of it: reconciliation removes it afterwards.
    if (!(error instanceof ServerError) || error.code !== 'conflict') throw error
  }
}

/** Builds that no tag and no sandbox stands for, once newer ones have been there for a while. */
async function dropBuilds(parts: GarbageParts, signal: AbortSignal): Promise<number> {
  const { store, cache, log } = parts
  const builds = await store.builds.list({
    isSnapshot: false,
    kind: 'template',
    statuses: ['ready', 'error'],
  })
  const byTemplate = new Map<string, TemplateBuild[]>()
  for (const build of builds) {
    // A stock template's are the server's own business.
    if (build.teamId === null) continue
    byTemplate.set(build.templateId, [...(byTemplate.get(build.templateId) ?? []), build])
  }
  let dropped = 0
  for (const [templateId, ofTemplate] of byTemplate) {
    const tagged = new Set((await store.tags.list(templateId)).map(({ buildId }) => buildId))
    for (const build of overdue(ofTemplate, parts.clock.now())) {
      if (tagged.has(build.id)) continue
      if ((await store.sandboxes.list({ buildId: build.id, limit: 1 })).length > 0) continue
      signal.throwIfAborted()
      await store.builds.remove(build.id)
      dropped++
      log.info({ buildId: build.id, templateId }, 'removed a build that nothing stands for any more')
      const { image } = build
      if (image !== null) await cache.exclusive(image, () => releaseImage(parts, image, signal))
    }
  }
  return dropped
}

/** Of a template's builds, newest first, those whose time is over; never the newest of all. */
function overdue(builds: readonly TemplateBuild[], now: number): TemplateBuild[] {
  let supersededAt = Number.POSITIVE_INFINITY
  return builds.filter((build, place) => {
    const endedAt = build.finishedAt ?? build.createdAt
    if (build.status === 'error') return place > 0 && now - endedAt > keep.failedMs
    const isOver = now - supersededAt > keep.supersededMs
    supersededAt = Math.min(supersededAt, endedAt)
    return isOver
  })
}
