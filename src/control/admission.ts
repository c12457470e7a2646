/**
 * Who may start a sandbox now: limits of teams, and what the machine can take. A start passes the team's limits, waits
 * for its turn, fair between teams, and finds a machine that has room.
 */
import { ServerError } from '../domain/error.ts'
import type { Machine } from '../domain/machine.ts'
import type { NodeStatus } from '../domain/node-status.ts'
import type { Store } from '../domain/store.ts'
import type { TeamLimits } from '../domain/team.ts'
import type { Backlog } from '../domain/telemetry.ts'
import type { Clock } from '../lib/clock.ts'
import { abortable, sleep } from '../lib/deadline.ts'
import { createFairSemaphore } from '../lib/fair-semaphore.ts'
import { linkSignals } from '../lib/linked-signal.ts'
import { type FreeSpace, requireRoom } from './machine-room.ts'
import { placementError } from './placement-error.ts'
import { createTeamAllowances } from './team-allowances.ts'

export interface AdmissionRequest {
  teamId: string
  /** A resume counts like a create, but isn't one against a rate of creates */
  kind: 'create' | 'resume'
  cpuCount: number
  memoryMb: number
  diskMb: number
  /** Whether its guest was started ahead: it needs neither a turn nor room. */
  isStarted?: boolean
}

export interface BuildAdmission {
  /** Called once, with the reason, where a build can't go on at once for want of room */
  onWait: (why: string) => void
  signal: AbortSignal
}

/** What a start has been given. The whole of it is called when the start is over, whichever way. */
export interface Admitted {
  (): void
  /** Gives the turn back alone: the guest is up, and what it waits for now takes nobody's place. Idempotent. */
  isUp(): void
  /** In place of the whole of it: the start didn't happen, and another is asked for. */
  cancel(): void
}

export interface Admission {
  /**
   * Waits for a turn to start one sandbox. What resolves is called when the start is over, whichever way; from then
   * on the store's rows speak for the sandbox. Errors: `resource_exhausted` (a limit of the team), `unavailable` (the
   * machine), both with `retryAfterS`; `canceled`.
   */
  enter(request: AdmissionRequest, signal: AbortSignal): Promise<Admitted>
  /**
   * Waits for a turn to start a guest of a build, and until the machine has room for it: some minutes, as nobody's request
   * is open meanwhile. No limit of the team is about it. What resolves is called when the guest is up. Errors: `unavailable`
   * (no turn, no room in all that time), `canceled`.
   */
  enterBuild(teamId: string, options: BuildAdmission): Promise<() => void>
  /**
   * A turn to start a guest ahead of the sandbox it is for, where nobody else starts or waits to and there is room; undefined: not
   * now. What resolves is called when the guest is up.
   */
  enterAhead(): Promise<(() => void) | undefined>
  /** Errors: `unavailable` while the node is draining. */
  refuseWhileDraining(): void
  /** Starts that wait for their turn, and that have it. */
  backlog(): Backlog
  /** The limits that count for a team: its own, and the server's where it has none. */
  limitsOf(teamId: string): Promise<TeamLimits>
}

export interface AdmissionParts {
  store: Pick<Store, 'sandboxes' | 'teams'>
  machine: Machine
  /** Of this node */
  status: () => NodeStatus
  clock: Clock
  /** For teams that have none of their own */
  limits: TeamLimits
  /** How many starts happen at once */
  maxStarting: number
  /** How long a start may wait for its turn, in ms */
  startWaitMs: number
  /** What starts must leave free */
  keepFree: FreeSpace
}

/** How many starts may wait: of one team, and of all. Each is an open request. */
const lineMax = 256
const waitingMax = 1024
/** When those that found the queue full or waited in vain may come again, in seconds. */
const busyRetryAfterS = 2
/** How long a build may wait for a turn and for room, in ms, and the time between two looks. */
const buildWaitMs = 5 * 60_000
const buildLookMs = 1_000
/** When those that found the node draining may come again, in seconds: for as long as another takes over. */
const drainingRetryAfterS = 30

export function createAdmission(parts: AdmissionParts): Admission {
  const { store, machine, status, clock, limits, maxStarting, startWaitMs, keepFree } = parts
  const turns = createFairSemaphore({ permits: maxStarting, lineMax, waitingMax })
  const allowances = createTeamAllowances({ store, clock })

  return {
    limitsOf,
    refuseWhileDraining,
    enterAhead: startAhead,

    backlog: () => ({ waiting: turns.waiting(), running: turns.held() }),

    async enter(request, signal) {
      signal.throwIfAborted()
      try {
        return await admit(request, signal)
      } catch (error) {
        throw placementError(error)
      }
    },

    async enterBuild(teamId, { onWait, signal }) {
      const waiting = linkSignals([signal], buildWaitMs)
      let refusal: ServerError | undefined
      try {
        for (;;) {
          const outcome = await startOfBuild(teamId, waiting.signal)
          if (!(outcome instanceof ServerError)) return outcome
          if (refusal === undefined) onWait(outcome.message)
          refusal = outcome
          await sleep(buildLookMs, waiting.signal)
        }
      } catch (error) {
        signal.throwIfAborted()
        throw waiting.signal.aborted ? (refusal ?? busy('none of the turns to start came free')) : error
      } finally {
        waiting.dispose()
      }
    },
  }

  async function startAhead(): Promise<(() => void) | undefined> {
    if (status() !== 'ready' || turns.held() > 0 || turns.waiting() > 0) return undefined
    const endTurn = await turns.acquire('', new AbortController().signal)
    try {
      await requireRoom(machine, keepFree, turns.held() - 1)
      return endTurn
    } catch {
      endTurn?.()
      return undefined
    }
  }

  /** A turn with room for a guest, or why there is none. */
  async function startOfBuild(teamId: string, signal: AbortSignal): Promise<(() => void) | ServerError> {
    const endTurn = await turns.acquire(teamId, signal)
    if (endTurn === undefined) return busy(`${turns.waiting()} starts are waiting already`)
    try {
      await abortable(requireRoom(machine, keepFree, turns.held() - 1), signal)
      return endTurn
    } catch (error) {
      endTurn()
      if (error instanceof ServerError && error.code === 'unavailable') return error
      throw error
    }
  }

  async function admit(request: AdmissionRequest, signal: AbortSignal): Promise<Admitted> {
    refuseWhileDraining()
    const allowance = await allowances.reserve(request, await limitsOf(request.teamId))
    try {
      if (request.isStarted) {
        return Object.assign(() => allowance.end(), { isUp: () => {}, cancel: () => allowance.cancel() })
      }
      const endTurn = await turn(request.teamId, signal)
      try {
        // What was true before the wait may no longer be.
        signal.throwIfAborted()
        refuseWhileDraining()
        await abortable(requireRoom(machine, keepFree, turns.held() - 1), signal)
      } catch (error) {
        endTurn()
        throw error
      }
      const end = () => {
        endTurn()
        allowance.end()
      }
      const cancel = () => {
        endTurn()
        allowance.cancel()
      }
      return Object.assign(end, { isUp: endTurn, cancel })
    } catch (error) {
      allowance.cancel()
      throw error
    }
  }

  async function limitsOf(teamId: string): Promise<TeamLimits> {
    return { ...limits, ...(await store.teams.find(teamId))?.limits }
  }

  function refuseWhileDraining(): void {
    if (status() === 'ready') return
    throw new ServerError(
      'unavailable',
      'This server is draining: what runs goes on, and nothing new starts until its operator says so.',
      { retryAfterS: drainingRetryAfterS },
    )
  }

  async function turn(teamId: string, signal: AbortSignal): Promise<() => void> {
    const both = linkSignals([signal], startWaitMs)
    try {
      const acquired = turns.acquire(teamId, both.signal)
      if (acquired === undefined) throw busy(`${turns.waiting()} starts are waiting already`)
      return await acquired
    } catch (error) {
      if (signal.aborted || !both.signal.aborted) throw error
      throw busy(`none of ${maxStarting} turns to start came free within ${startWaitMs / 1000} s`)
    } finally {
      both.dispose()
    }
  }
}

function busy(reason: string): ServerError {
  return new ServerError('unavailable', `This server starts as many sandboxes as it can: ${reason}.`, {
    retryAfterS: busyRetryAfterS,
  })
}
