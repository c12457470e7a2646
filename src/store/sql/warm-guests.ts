import type { Kysely } from 'kysely'
import type { WarmGuestStore } from '../../domain/warm-guest.ts'
import type { Tables } from '../schema.ts'

export function createWarmGuestStore(db: Kysely<Tables>): WarmGuestStore {
  return {
    async add(id) {
      await db.insertInto('warm_guests').values({ id }).execute()
    },
    async remove(id) {
      await db.deleteFrom('warm_guests').where('id', '=', id).execute()
    },
    async list() {
      const rows = await db.selectFrom('warm_guests').select('id').execute()
      return rows.map(({ id }) => id)
    },
  }
}
