/** The first phase of a build: the image that its steps begin with, made fit for sandboxes. */
import { ServerError } from '../domain/error.ts'
import type { TemplateBuild } from '../domain/template-build.ts'
import type { BuildSpec } from '../domain/template-builder.ts'
import type { BuildContext } from './build-context.ts'
import { type BuildState, defaultsOf, stateAfter } from './build-state.ts'
import { layerKey } from './layer-key.ts'
import { resolveImage } from './resolve-image.ts'
import { buildTimeouts, within } from './timeouts.ts'

export interface Base {
  state: BuildState
  /** Whether nothing had to be made */
  isCached: boolean
}

/** Errors: `not_found` (image), `unavailable` (registry), `failed_precondition` (an image that can't be used). */
export function beginBuild(context: BuildContext, spec: BuildSpec): Promise<Base> {
  const { from } = spec
  return within(buildTimeouts.baseMs, 'Getting the base image ready', context.signal, (signal) =>
    'build' in from
      ? fromTemplate({ ...context, signal }, from.build)
      : fromImage({ ...context, signal }, from, spec.force),
  )
}

async function fromTemplate(context: BuildContext, parent: TemplateBuild): Promise<Base> {
  const { parts, bench, hold, log, cache, signal } = context
  const { runtime, defaults } = parts
  const { image } = parent
  log.write(`[base] FROM TEMPLATE ${parent.templateId} [${parent.id}]`)
  if (image === null || parent.runtime !== runtime.name) {
    const message = `The template was built for the runtime "${parent.runtime}", and this server has "${runtime.name}". Build it again.`
    throw new ServerError('failed_precondition', message)
  }
  const isThere = await cache.exclusive(image, async () => {
    hold.take(image)
    return (await runtime.images.inspect(image, signal)) !== undefined
  })
  if (!isThere) throw new ServerError('not_found', "The template's image is gone. Build the template again.")
  bench.moveTo(image)
  return { state: stateAfter(parent.defaults, defaults), isCached: true }
}

async function fromImage(
  context: BuildContext,
  from: Extract<BuildSpec['from'], { image: string }>,
  force: boolean,
): Promise<Base> {
  const { parts, build, bench, hold, log, cache, signal } = context
  const { runtime, defaults, provision } = parts
  const { id, env } = await resolveImage(context, from)
  const shown = `[base] FROM ${from.image} [${id.replace(/^sha256:/, '').slice(0, 12)}]`
  const layer = {
    teamId: build.teamId ?? '',
    key: layerKey(runtime.name, { from: id, provision: provision?.version ?? '' }),
  }
  const found = async () => {
    const base = force ? undefined : await cache.find(layer, hold, signal)
    if (base === undefined) return undefined
    log.write(`CACHED ${shown}`)
    bench.moveTo(base.image)
    return { state: stateAfter(base.defaults, defaults), isCached: true }
  }
  const make = async () => {
    log.write(shown)
    // What is there by that name may be another image by now, or, from a mirror by its digest, none.
    bench.moveTo(id)
    const guest = await bench.guest(signal)
    const added = await provision?.run(guest, {
      onLine: (stream, line) => log.output(`[base] [${stream}]: ${line}`),
      signal,
    })
    const state = stateAfter({ env: { ...added, ...env } }, defaults)
    const made = await bench.commit(signal)
    await cache.put(layer, { ...made, defaults: defaultsOf(state) })
    return { state, isCached: false }
  }
  return (await found()) ?? cache.making(layer, async () => (await found()) ?? make(), signal)
}
