import { createHash } from 'node:crypto'
import type { BuildStep } from '../domain/template-builder.ts'
import type { BuildState } from './build-state.ts'

/** Changes whenever what is made of the same steps changes. */
const version = 1

/** What a layer is made of, beside the runtime and the state that it begins with. */
export type LayerSource =
  | { from: string; provision: string }
  | { image: string; state: BuildState; step: BuildStep }
  | { image: string; state: BuildState; startCmd: string | null; readyCmd: string | null }

/**
 * Lower-case hex of SHA-256. Images are named anew each time, so naming the image that a step begins with says every step
 * before it, and one that was made again has no later layers.
 */
export function layerKey(runtime: string, source: LayerSource): string {
  // How a step is made, and not what it makes.
  const told = 'step' in source ? { ...source, step: { ...source.step, force: false } } : source
  return createHash('sha256')
    .update(canonical({ version, runtime, ...told }))
    .digest('hex')
}

/** JSON with the names of every object in order. */
function canonical(value: object): string {
  return JSON.stringify(value, (_name, member: unknown) => {
    if (typeof member !== 'object' || member === null || Array.isArray(member)) return member
    return Object.fromEntries(Object.entries(member).sort(([one], [other]) => (one < other ? -1 : 1)))
  })
}
