/** Ids of guests that were started ahead of their sandbox, so that what a crash leaves of them is known for what it is. */
export interface WarmGuestStore {
  /** Before its guest is started. */
  add(id: string): Promise<void>
  /** When it is gone; with a sandbox's row that speaks for it the record goes by itself. Idempotent. */
  remove(id: string): Promise<void>
  list(): Promise<string[]>
}
