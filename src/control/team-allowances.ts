import { setImmediate as nextTurn } from 'node:timers/promises'
import { ServerError } from '../domain/error.ts'
import type { SandboxState } from '../domain/sandbox-state.ts'
import type { Store } from '../domain/store.ts'
import type { TeamLimits } from '../domain/team.ts'
import type { Clock } from '../lib/clock.ts'
import { createKeyedQueue } from '../lib/keyed-queue.ts'
import { createTokenBucket, type TokenBucket } from '../lib/token-bucket.ts'
import type { AdmissionRequest } from './admission.ts'

/** What a start under way holds of its team's limits; one of the two is called once. */
export interface Allowance {
  /** The start is over. */
  end(): void
  /** The start didn't happen, so it isn't one against the rate of creates either. */
  cancel(): void
}

/**
 * States whose rows count. Those of a start under way, `creating` and `resuming`, don't: their reservation counts, from
 * before there is a row until after it has left that state.
 */
const countedStates: readonly SandboxState[] = ['running', 'snapshotting', 'pausing']

/** When those that found their team's limits reached may come again, in seconds: any other sandbox may end by then. */
const fullRetryAfterS = 1

type Amount = Pick<AdmissionRequest, 'cpuCount' | 'memoryMb'>
interface Used extends Amount {
  sandboxes: number
}

/** What teams use of their limits: rows of the store, and reservations of starts under way. */
export function createTeamAllowances({ store, clock }: { store: Pick<Store, 'sandboxes'>; clock: Clock }): {
  reserve(request: AdmissionRequest, limits: TeamLimits): Promise<Allowance>
} {
  /** Counting and reserving are one step for each team */
  const steps = createKeyedQueue()
  const reservations = new Map<string, Set<Amount>>()
  const buckets = new Map<string, TokenBucket>()

  return {
    /** Errors: `resource_exhausted`, with `retryAfterS`. */
    reserve: (request, limits) =>
      steps.run(request.teamId, async () => {
        const { teamId, kind } = request
        await requireWithin(request, limits)
        const rate = kind === 'create' ? limits.createsPerSecond : null
        if (rate !== null) takeToken(teamId, rate)
        const reserved = { cpuCount: request.cpuCount, memoryMb: request.memoryMb }
        const own = reservations.get(teamId) ?? new Set()
        reservations.set(teamId, own.add(reserved))
        const end = () => {
          own.delete(reserved)
          if (own.size === 0 && reservations.get(teamId) === own) reservations.delete(teamId)
        }
        return {
          end,
          cancel() {
            end()
            if (rate !== null) buckets.get(teamId)?.refund()
          },
        }
      }),
  }

  async function requireWithin(request: AdmissionRequest, limits: TeamLimits): Promise<void> {
    const { runningSandboxes, vcpu, memoryMb } = limits
    if (runningSandboxes === null && vcpu === null && memoryMb === null) return
    if (exceeded(await used(request.teamId), request, limits) === undefined) return
    // A sandbox that has just begun to run counts twice until its start lets go, which happens in this very turn of
    // the event loop: only what is still over the limit in the next one is.
    await nextTurn()
    const refusal = exceeded(await used(request.teamId), request, limits)
    if (refusal !== undefined) {
      throw new ServerError('resource_exhausted', refusal, { retryAfterS: fullRetryAfterS })
    }
  }

  async function used(teamId: string): Promise<Used> {
    const [rows] = await store.sandboxes.usage({ teamId, states: countedStates })
    const starting = [...(reservations.get(teamId) ?? [])]
    const sum = (name: keyof Amount) => starting.reduce((total, amount) => total + amount[name], 0)
    return {
      sandboxes: (rows?.sandboxes ?? 0) + starting.length,
      cpuCount: (rows?.cpuCount ?? 0) + sum('cpuCount'),
      memoryMb: (rows?.memoryMb ?? 0) + sum('memoryMb'),
    }
  }

  function takeToken(teamId: string, perSecond: number): void {
    const now = clock.now()
    for (const [id, bucket] of buckets) if (id !== teamId && bucket.isFull(now)) buckets.delete(id)
    const bucket = buckets.get(teamId) ?? createTokenBucket()
    buckets.set(teamId, bucket)
    const waitS = bucket.take(now, perSecond)
    if (waitS === 0) return
    const burst = Math.max(1, perSecond)
    const resetS = Math.ceil(waitS + (burst - 1) / perSecond)
    throw new ServerError(
      'resource_exhausted',
      `Rate limit exceeded: this team may create ${perSecond} sandboxes per second. Create them more slowly, or have ` +
        'the operator raise the limit: "e2b-server teams limits <team> --creates-per-second <n>".',
      {
        retryAfterS: Math.max(1, Math.ceil(waitS)),
        rateLimit: { limit: Math.floor(burst), remaining: 0, resetS },
      },
    )
  }
}

/** The sentence for the limit that one more start would break. */
function exceeded(used: Used, request: Amount, limits: TeamLimits): string | undefined {
  const { runningSandboxes, vcpu, memoryMb } = limits
  const remedy = (flag: string) =>
    `Kill or pause some, or have the operator raise the limit: "e2b-server teams limits <team> ${flag} <n>".`
  if (runningSandboxes !== null && used.sandboxes + 1 > runningSandboxes) {
    return (
      `This team has reached the maximum number of concurrent E2B sandboxes (${runningSandboxes}), running or ` +
      `starting. ${remedy('--sandboxes')}`
    )
  }
  if (vcpu !== null && used.cpuCount + request.cpuCount > vcpu) {
    return (
      `This sandbox needs ${request.cpuCount} vCPU, and the team's sandboxes have ${used.cpuCount} of at most ` +
      `${vcpu}. ${remedy('--vcpu')}`
    )
  }
  if (memoryMb !== null && used.memoryMb + request.memoryMb > memoryMb) {
    return (
      `This sandbox needs ${request.memoryMb} MiB of memory, and the team's sandboxes have ${used.memoryMb} of at ` +
      `most ${memoryMb}. ${remedy('--memory-mb')}`
    )
  }
  return undefined
}
