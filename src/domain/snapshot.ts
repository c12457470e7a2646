import type { NewLifecycleEvent } from './lifecycle-event.ts'

/** A kept copy of a sandbox's file system, from which sandboxes are made as from a template. Times are Unix milliseconds. */
export interface Snapshot {
  id: string
  teamId: string
  /** The sandbox it is of */
  sandboxId: string
  /** The template that sandbox was made from */
  templateId: string
  /** Lower-case name without namespace and tag; null: it has only its id */
  name: string | null
  /** What tells snapshots of one name apart; `default` where nothing was said */
  tag: string
  /** Belongs to forks: not listed, and removed when none of them is left */
  internal: boolean
  /** `creating`: its image isn't complete; a crash leaves it so, and reconciliation removes it */
  state: 'creating' | 'ready'
  image: string
  runtime: string
  cpuCount: number
  memoryMb: number
  diskMb: number
  createdAt: number
}

export interface SnapshotFilter {
  teamId?: string
  sandboxId?: string
  name?: string
  tag?: string
  state?: Snapshot['state']
  internal?: boolean
  /** Of those that all of the above leaves, the newest of each name, and those without one */
  newestOfName?: boolean
  /** Continue behind this one, newest first */
  after?: { createdAt: number; id: string }
  limit?: number
}

export interface SnapshotStore {
  /** Errors: `conflict` when the id exists. */
  create(snapshot: Snapshot): Promise<void>
  find(id: string): Promise<Snapshot | undefined>
  /** Newest first. */
  list(filter: SnapshotFilter): Promise<Snapshot[]>
  /** Records that a snapshot's image is complete, together with the event that says so. Errors: `not_found`. */
  complete(id: string, event?: NewLifecycleEvent): Promise<void>
  /** Idempotent. */
  remove(id: string): Promise<void>
}
