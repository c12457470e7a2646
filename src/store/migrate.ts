import { type Kysely, sql } from 'kysely'
import { ServerError } from '../domain/error.ts'
import { initial } from './migrations/001-initial.ts'
import { lifecycle } from './migrations/002-lifecycle.ts'
import { tenancy } from './migrations/003-tenancy.ts'
import { observability } from './migrations/004-observability.ts'
import { templates } from './migrations/005-templates.ts'
import { buildPlans } from './migrations/006-build-plans.ts'
import { layerParents } from './migrations/007-layer-parents.ts'
import { privateImages } from './migrations/008-private-images.ts'
import { warmGuests } from './migrations/009-warm-guests.ts'
import type { Migration } from './migrations/migration.ts'
import type { Tables } from './schema.ts'

/** Every step, in order. */
export const migrations: readonly Migration[] = [
  initial,
  lifecycle,
  tenancy,
  observability,
  templates,
  buildPlans,
  layerParents,
  privateImages,
  warmGuests,
]

/**
 * Brings the database to the newest version, all of it or nothing. Errors: `failed_precondition` when a newer
 * program has written the database.
 */
export async function migrate(db: Kysely<Tables>, steps: readonly Migration[] = migrations): Promise<void> {
  await sql`create table if not exists meta (key text not null primary key, value text not null)`.execute(db)
  await db.transaction().execute(async (transaction) => {
    // A write comes first, so that the write lock is held before the version is read and two programs that
    // open the same database don't both migrate it.
    await transaction
      .insertInto('meta')
      .values({ key: 'schema_version', value: '0' })
      .onConflict((conflict) => conflict.doNothing())
      .execute()
    const row = await transaction
      .selectFrom('meta')
      .select('value')
      .where('key', '=', 'schema_version')
      .executeTakeFirstOrThrow()
    const found = Number(row.value)
    const newest = steps.length
    if (found > newest) {
      throw new ServerError(
        'failed_precondition',
        `The database has schema version ${found}, and this program knows versions up to ${newest}: ` +
          'a newer release has used it. Start that release, or restore a copy of the database from before it.',
      )
    }
    for (const step of steps.slice(found)) await step.up(transaction as unknown as Kysely<unknown>)
    await transaction
      .updateTable('meta')
      .set({ value: String(newest) })
      .where('key', '=', 'schema_version')
      .execute()
  })
}
