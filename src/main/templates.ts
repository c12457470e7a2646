import type { BaseTemplate } from '../control/stock/collect-images.ts'
import { putStockTemplate } from '../control/stock-template.ts'
import type { WarmKind } from '../domain/node.ts'
import type { Runtime } from '../domain/runtime.ts'
import type { Store } from '../domain/store.ts'
import { noDefaults, type SandboxDefaults } from '../domain/template-build.ts'
import { defaultTag } from '../domain/template-name.ts'
import { patientSignal } from '../lib/patience.ts'
import type { Provision } from '../templates/build-context.ts'
import { provisionImage } from '../templates/provision-image.ts'
import { type Config, ConfigError } from './config.ts'
import { baseImage, recipesFolder } from './installation.ts'
import { readRecipes, type StockRecipes } from './stock/recipes.ts'

const base = 'base'

/** How long making the stock template's image fit may take, in ms. */
const provisionMs = 5 * 60_000

interface Parts {
  store: Store
  runtime: Runtime
  provision: { ofStock: Provision | null }
}

/** What guests that wait for their sandbox may be of before anybody has asked for one. */
export async function warmKinds(store: Store): Promise<WarmKind[]> {
  const tag = await store.tags.find('base', defaultTag)
  const build = tag && (await store.builds.find(tag.buildId))
  if (build === undefined) return []
  const { id: buildId, templateId, image, cpuCount, memoryMb, diskMb, defaults } = build
  return image === null ? [] : [{ buildId, templateId, image, cpuCount, memoryMb, diskMb, defaults }]
}

/** Whether whoever asks for its template by a tag may get that build. */
export async function isTagged(store: Store, { templateId, buildId }: WarmKind): Promise<boolean> {
  return (await store.tags.list(templateId)).some((tag) => tag.buildId === buildId)
}

/** Records the stock template `base`: public, with the sizes of the official one (2 vCPU, 512 MB). Errors: `ConfigError`. */
export async function putBaseTemplate({ store, runtime, provision: { ofStock } }: Parts): Promise<void> {
  const image = runtime.capabilities.isolation ? requireBaseImage() : 'none'
  const sizes = { cpuCount: 2, memoryMb: 512, diskMb: 10_240 }
  const made = ofStock === null ? { image } : await provisioned({ store, runtime, provision: ofStock }, image)
  await putStockTemplate(store, { name: base, runtime: runtime.name, ...sizes, ...made }, Date.now())
}

/** The image with the operator's authorities; what one that is there says to sandboxes is in its record. */
async function provisioned(
  { store, runtime, provision }: { store: Store; runtime: Runtime; provision: Provision },
  from: string,
): Promise<{ image: string; defaults: SandboxDefaults }> {
  const parts = { runtime, provision, instanceId: store.instanceId }
  const signal = patientSignal(provisionMs)
  const { image, env } = await provisionImage(parts, from, signal)
  if (env !== undefined) return { image, defaults: { ...noDefaults, env } }
  const [known] = await store.builds.list({ templateId: base, image, limit: 1 })
  if (known !== undefined) return { image, defaults: known.defaults }
  // Made by a start that broke off before it could record it.
  await runtime.images.remove(image, signal)
  const again = await provisionImage(parts, from, signal)
  return { image, defaults: { ...noDefaults, env: again.env ?? {} } }
}

/**
 * The recipes of the other stock templates. Without isolation there are none, as their steps would change this machine.
 * Errors: `ConfigError`.
 */
export function readStockRecipes(
  { stockDir }: Config,
  { runtime, provision: { ofStock } }: Omit<Parts, 'store'>,
): Promise<StockRecipes> {
  if (!runtime.capabilities.isolation) return readRecipes([], { name: base, identity: 'none' })
  const folders = [recipesFolder(), ...(stockDir === undefined ? [] : [stockDir])]
  // What the operator's authorities make of the image has another name on each server.
  return readRecipes(folders, { name: base, identity: `${requireBaseImage()} ${ofStock?.version ?? ''}` })
}

/** What the setup has made for the template that recipes begin with. Errors: `ConfigError`. */
export function baseOf(runtime: Runtime): BaseTemplate {
  return { name: base, image: runtime.capabilities.isolation ? requireBaseImage() : null }
}

function requireBaseImage(): string {
  const image = baseImage()
  if (image !== undefined) return image
  throw new ConfigError('The image of template "base" is not built. Run "npm start", which builds it.')
}
