import type { Kysely } from 'kysely'

/** One step of the schema. Never edited once released: a later step changes what an earlier one made. */
export interface Migration {
  /** Counts up from 1 without gaps */
  version: number
  /** Runs inside the transaction that also records the version. */
  up(db: Kysely<unknown>): Promise<void>
}
