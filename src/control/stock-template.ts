import { randomUUID } from 'node:crypto'
import type { Store } from '../domain/store.ts'
import { noDefaults, type TemplateBuild } from '../domain/template-build.ts'
import { defaultTag } from '../domain/template-name.ts'

/** A template that comes with the server. */
export interface StockTemplate
  extends Pick<TemplateBuild, 'runtime' | 'cpuCount' | 'memoryMb' | 'diskMb'>,
    Partial<Pick<TemplateBuild, 'defaults'>> {
  /** Its id as well */
  name: string
  /** All that it is called; absent: its name */
  aliases?: readonly string[]
  image: string
}

/**
 * Records that a stock template is there for every team. A new image is a new build under the tag `default`; builds before it
 * go once no sandbox is of them. Idempotent.
 */
export async function putStockTemplate(store: Store, stock: StockTemplate, now: number): Promise<void> {
  const { name, image, runtime, cpuCount, memoryMb, diskMb, defaults = noDefaults } = stock
  await putStockRow(store, stock, now)
  const wanted = { image, runtime, cpuCount, memoryMb, diskMb, defaults }
  const tag = await store.tags.find(name, defaultTag)
  const current = tag && (await store.builds.find(tag.buildId))
  if (current === undefined || !isSame(current, wanted)) {
    const id = randomUUID()
    const times = { createdAt: now, startedAt: now, finishedAt: null }
    const parts = { templateId: name, teamId: null, origin: null, reason: null }
    await store.builds.create({ ...wanted, ...parts, ...times, id, status: 'building' })
    await store.builds.complete(id, { at: now, tags: [defaultTag], image, diskMb, defaults })
  }
  await dropOldBuilds(store, name)
}

/** Records a stock template that may have no build yet. Idempotent. */
export async function putStockRow(
  store: Store,
  { name, aliases = [name] }: Pick<StockTemplate, 'name' | 'aliases'>,
  now: number,
): Promise<void> {
  const template = await store.templates.find(name)
  if (template !== undefined && template.aliases.join() === aliases.join()) return
  const fresh = { createdAt: now, updatedAt: now, lastSpawnedAt: null, spawnCount: 0 }
  await store.templates.put({
    ...(template ?? fresh),
    ...{ id: name, teamId: null, aliases: [...aliases], isPublic: true, kind: 'template' },
  })
}

function isSame(build: TemplateBuild, wanted: Omit<StockTemplate, 'name' | 'aliases'>): boolean {
  return (Object.keys(wanted) as (keyof typeof wanted)[]).every(
    (key) => JSON.stringify(build[key]) === JSON.stringify(wanted[key]),
  )
}

/** Removes builds that no tag and no sandbox stands for, but for those under way and the newest, which says how it went. */
export async function dropOldBuilds(store: Store, templateId: string): Promise<void> {
  const tagged = new Set((await store.tags.list(templateId)).map(({ buildId }) => buildId))
  const [_newest, ...older] = await store.builds.list({ templateId })
  for (const { id, status } of older) {
    if (tagged.has(id) || status === 'waiting' || status === 'building') continue
    if ((await store.sandboxes.list({ buildId: id, limit: 1 })).length > 0) continue
    await store.builds.remove(id)
  }
}
