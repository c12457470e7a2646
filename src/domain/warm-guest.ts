/** Ids of guests that were started ahead of their sandbox, so that what a crash leaves of them is known for what it is. */
export interface WarmGuestStore {
  /** Before its guest is started. */
  add(id: string): Promise<void>
  /** When it has a sandbox's row to speak for it, or is gone. Idempotent. */
  remove(id: string): Promise<void>
  list(): Promise<string[]>
}
