import type { GuestHandle } from './runtime.ts'
import type { SandboxState } from './sandbox-state.ts'

/** A sandbox as the store knows it. Times are Unix milliseconds; `startedAt` has a fraction that orders creations. */
export interface Sandbox {
  /** `i` + 20 of `[a-z0-9]`: no dash, because host names split there (e2b-wire 1.5) */
  id: string
  teamId: string
  templateId: string
  /** The name the template was asked for by, if it was one */
  alias: string | null
  state: SandboxState
  startedAt: number
  /** Absolute deadline */
  endAt: number
  cpuCount: number
  memoryMb: number
  diskMb: number
  metadata: Record<string, string>
  envVars: Record<string, string>
  /** Required of envd requests when set; stable for the sandbox's life */
  envdAccessToken: string | null
  allowInternetAccess: boolean | null
  runtime: string
  image: string
  /** Null until the guest has started */
  handle: GuestHandle | null
}

/** The parts that change after creation. */
export type SandboxUpdate = Partial<Pick<Sandbox, 'state' | 'startedAt' | 'endAt' | 'handle'>>

export interface SandboxFilter {
  teamId?: string
  states?: readonly SandboxState[]
  /** Every pair must be there with that value */
  metadata?: Record<string, string>
  templateId?: string
  /** Unix milliseconds, inclusive */
  startedAfter?: number
  /** Deadline at or before this, Unix milliseconds */
  endAtMost?: number
  order?: 'asc' | 'desc'
  /** Continue behind this one, in the given order */
  after?: { startedAt: number; id: string }
  limit?: number
}

export interface SandboxStore {
  /** Errors: `conflict` when the id exists. */
  create(sandbox: Sandbox): Promise<void>
  find(id: string): Promise<Sandbox | undefined>
  /** Sorted by `startedAt`, then `id`; newest first unless the filter says otherwise. */
  list(filter: SandboxFilter): Promise<Sandbox[]>
  count(filter: Pick<SandboxFilter, 'teamId' | 'states'>): Promise<number>
  /** Errors: `not_found`. */
  update(id: string, update: SandboxUpdate): Promise<void>
  /** Idempotent. */
  remove(id: string): Promise<void>
}
