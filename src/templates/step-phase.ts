import type { BuildStep } from '../domain/template-builder.ts'
import type { BuildContext } from './build-context.ts'
import { type BuildState, defaultsOf, stateAfter } from './build-state.ts'
import { layerKey } from './layer-key.ts'
import { applyStep, describeStep, runStep } from './run-step.ts'

const mebibyte = 2 ** 20

export interface StepPlace {
  /** From 1 on */
  number: number
  count: number
  /** What comes before it */
  state: BuildState
  /** Whether all before it came from the cache */
  isCached: boolean
  /** Takes nothing from the cache */
  force: boolean
}

/** Makes one step of a build, or takes its layer from the cache. Errors: those of `runStep` and of the runtime. */
export async function makeStep(
  context: BuildContext,
  step: BuildStep,
  { number, count, state, isCached, force }: StepPlace,
): Promise<Pick<StepPlace, 'state' | 'isCached'>> {
  const { parts, build, bench, cache, hold, log, signal } = context
  const prefix = `[builder ${number}/${count}]`
  const title = `${prefix} ${describeStep(step)}`

  const applied = applyStep(step, state)
  if (applied !== undefined || step.type === 'ENV') {
    log.write(isCached && !force ? `CACHED ${title}` : title)
    return { state: applied ?? state, isCached: isCached && !force }
  }

  const teamId = build.teamId ?? ''
  const layer = { teamId, key: layerKey(parts.runtime.name, { image: bench.image(), state, step }) }
  const found = async () => {
    const cached = force ? undefined : await cache.find(layer, hold, signal)
    if (cached === undefined) return undefined
    log.write(`CACHED ${title}`)
    bench.moveTo(cached.image)
    return { state: stateAfter(cached.defaults, parts.defaults), isCached }
  }
  const make = async () => {
    log.write(title)
    const outcome = await runStep(step, state, {
      guest: await bench.guest(signal),
      onLine: (stream, line) => log.output(`${prefix} [${stream}]: ${line}`),
      files: { open: (hash) => parts.openFile(teamId, hash), maxBytes: build.diskMb * mebibyte },
      commandEnv: parts.commandEnv,
      signal,
    })
    const made = outcome.changed
      ? await bench.commit(signal)
      : { image: bench.image(), parent: null, sizeBytes: 0 }
    await cache.put(layer, { ...made, defaults: defaultsOf(outcome.state) })
    return { state: outcome.state, isCached: false }
  }
  const first = await found()
  if (first !== undefined) return first
  if (cache.isBeingMade(layer)) log.write(`${prefix} waits for another build that makes the same step`)
  return cache.making(layer, async () => (await found()) ?? make(), signal)
}
