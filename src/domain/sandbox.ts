import type { NewLifecycleEvent } from './lifecycle-event.ts'
import type { SandboxNetwork } from './network.ts'
import type { GuestHandle } from './runtime.ts'
import type { SandboxState } from './sandbox-state.ts'
import type { SandboxDefaults } from './template-build.ts'

/** A sandbox as the store knows it. Times are Unix milliseconds; `startedAt` has a fraction that orders creations. */
export interface Sandbox {
  /** `i` + 20 of `[a-z0-9]`: no dash, because host names split there (e2b-wire 1.5) */
  id: string
  teamId: string
  templateId: string
  /** The build of it that it was started from; null: from before there were builds */
  buildId: string | null
  /** The name the template was asked for by, if it was one */
  alias: string | null
  state: SandboxState
  startedAt: number
  /** Absolute deadline; of a paused one the time of its pause */
  endAt: number
  /** The lifetime it was created with, in seconds: what traffic that wakes it gives it again, at the least */
  timeoutS: number
  /** What its deadline does */
  onTimeout: 'kill' | 'pause'
  /** Whether a pause by its deadline keeps its memory */
  autoPauseMemory: boolean
  /** Whether traffic wakes it */
  autoResume: boolean
  /** While `pausing`, `paused` or `resuming`: whether its memory is (to be) kept. Else null */
  pausedWithMemory: boolean | null
  cpuCount: number
  memoryMb: number
  diskMb: number
  metadata: Record<string, string>
  envVars: Record<string, string>
  /** Required of envd requests when set; stable for the sandbox's life */
  envdAccessToken: string | null
  allowInternetAccess: boolean | null
  /** Asked of traffic to its ports (but envd's) when set; stable for its life */
  trafficAccessToken: string | null
  network: SandboxNetwork | null
  runtime: string
  image: string
  /** Its build's, kept for its life */
  defaults: SandboxDefaults
  /** Null until the guest has started */
  handle: GuestHandle | null
  /** What a client may create it by again; unique among a team's sandboxes */
  idempotency: { key: string; requestHash: string } | null
  /** While `killing`: why, so that whoever completes it can say so. Else null */
  endReason: string | null
}

/** The parts that change after creation. */
export type SandboxUpdate = Partial<
  Pick<
    Sandbox,
    | 'state'
    | 'startedAt'
    | 'endAt'
    | 'handle'
    | 'onTimeout'
    | 'pausedWithMemory'
    | 'network'
    | 'allowInternetAccess'
    | 'endReason'
    | 'idempotency'
  >
>

export interface SandboxFilter {
  teamId?: string
  states?: readonly SandboxState[]
  /** Every pair must be there with that value */
  metadata?: Record<string, string>
  templateId?: string
  buildId?: string
  /** Those made from this image */
  image?: string
  /** Unix milliseconds, inclusive */
  startedAfter?: number
  /** Deadline at or before this, Unix milliseconds */
  endAtMost?: number
  order?: 'asc' | 'desc'
  /** Continue behind this one, in the given order */
  after?: { startedAt: number; id: string }
  limit?: number
}

/** What the sandboxes of one team are allowed together. */
export interface TeamUsage {
  teamId: string
  sandboxes: number
  cpuCount: number
  memoryMb: number
}

export interface SandboxStore {
  // Each change is written together with the event that tells of it, or neither is.

  // With an event that says that a sandbox was created, its template counts it.

  // What is done lazily doesn't wait until the disk has it (`Store.durable`), as creates and removals never do: a power failure that
  // takes back a start, a resume or an intent ends the guest of it too, and reconciliation finds the rest.

  /**
   * With an event: of one that runs already, as its guest was started ahead, whose record goes with it (`WarmGuestStore`).
   * Errors: `conflict` when the id, or the team's idempotency key, exists.
   */
  create(sandbox: Sandbox, event?: NewLifecycleEvent): Promise<void>
  find(id: string): Promise<Sandbox | undefined>
  findByIdempotencyKey(teamId: string, key: string): Promise<Sandbox | undefined>
  /** Sorted by `startedAt`, then `id`; newest first unless the filter says otherwise. */
  list(filter: SandboxFilter): Promise<Sandbox[]>
  count(filter: Pick<SandboxFilter, 'teamId' | 'states'>): Promise<number>
  /** For each team that has such sandboxes. */
  usage(filter: { teamId?: string; states: readonly SandboxState[] }): Promise<TeamUsage[]>
  /** Errors: `not_found`, `conflict` when it isn't in the state `from`. */
  update(
    id: string,
    update: SandboxUpdate,
    options?: { event?: NewLifecycleEvent | undefined; from?: SandboxState; lazily?: boolean },
  ): Promise<void>
  /** Idempotent. */
  remove(id: string): Promise<void>
}
