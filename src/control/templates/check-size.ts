import { ServerError } from '../../domain/error.ts'
import type { TemplateBuild } from '../../domain/template-build.ts'
import type { ControlContext } from '../context.ts'

/** What sandboxes of a template get where nobody says: as with E2B. */
const defaultSize = { cpuCount: 2, memoryMb: 1024 }
/** In MiB: what the stock template has */
const diskMb = 10_240

/** Bounds and texts are E2B's (e2b-behaviour 4.1), but for the largest memory. */
const bounds = { cpuMax: 32, memoryMinMb: 128, memoryMaxMb: 2 ** 20 }

export interface AskedSize {
  cpuCount?: number | undefined
  memoryMb?: number | undefined
}

/** The size of sandboxes of a new build. Errors: `invalid_argument`. */
export async function checkSize(
  ctx: ControlContext,
  teamId: string,
  { cpuCount = defaultSize.cpuCount, memoryMb = defaultSize.memoryMb }: AskedSize,
): Promise<Pick<TemplateBuild, 'cpuCount' | 'memoryMb' | 'diskMb'>> {
  if (cpuCount < 1) throw invalid('CPU count must be at least 1')
  if (cpuCount > bounds.cpuMax) throw invalid(`CPU count must be at most ${bounds.cpuMax}`)
  if (cpuCount !== 1 && cpuCount % 2 !== 0) throw invalid('CPU count must be 1 or an even number')
  if (memoryMb < bounds.memoryMinMb) throw invalid(`Memory must be at least ${bounds.memoryMinMb} MiB`)
  if (memoryMb > bounds.memoryMaxMb) throw invalid(`Memory must be at most ${bounds.memoryMaxMb} MiB`)
  if (memoryMb % 2 !== 0) throw invalid('Memory must be divisible by 2')
  const limits = await ctx.admission.limitsOf(teamId)
  if (limits.vcpu !== null && cpuCount > limits.vcpu) {
    throw invalid(`CPU count exceeds team limits (${limits.vcpu})`)
  }
  if (limits.memoryMb !== null && memoryMb > limits.memoryMb) {
    throw invalid(`Memory exceeds team limits (${limits.memoryMb} MiB)`)
  }
  return { cpuCount, memoryMb, diskMb }
}

function invalid(message: string): ServerError {
  return new ServerError('invalid_argument', message)
}
