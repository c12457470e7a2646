/**
 * What happened to a sandbox, for its owner: an append-only log that outlives the sandbox. An event is written in the
 * same transaction as the change it tells of, so neither is there without the other.
 */

export const lifecycleEventTypes = [
  'created',
  'updated',
  'paused',
  'resumed',
  'snapshotted',
  'killed',
  'failed',
] as const

export type LifecycleEventType = (typeof lifecycleEventTypes)[number]

/** An event before it is written. */
export interface NewLifecycleEvent {
  teamId: string
  sandboxId: string
  templateId: string
  type: LifecycleEventType
  /** Unix milliseconds */
  at: number
  /** Why, in one word or a short sentence: `request`, `timeout`, …; null where there is nothing to say */
  reason: string | null
  /** What else is worth knowing, as JSON */
  detail: Record<string, unknown>
}

export interface LifecycleEvent extends NewLifecycleEvent {
  /** A UUID */
  id: string
  /** Counts up with each event of the server */
  sequence: number
}

export interface LifecycleEventFilter {
  teamId?: string
  sandboxId?: string
  types?: readonly LifecycleEventType[]
  /** Only later ones */
  afterSequence?: number
  /** Only earlier ones */
  beforeSequence?: number
  /** Unix milliseconds, inclusive */
  from?: number
  /** Unix milliseconds, inclusive */
  to?: number
  /** By sequence; oldest first by default */
  order?: 'asc' | 'desc'
  limit: number
}

export interface LifecycleEventStore {
  list(filter: LifecycleEventFilter): Promise<LifecycleEvent[]>
  /** Removes those from before a time, Unix milliseconds. Returns how many. */
  removeBefore(at: number): Promise<number>
}
