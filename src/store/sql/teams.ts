import type { Kysely } from 'kysely'
import type { TeamStore } from '../../domain/team.ts'
import type { Tables } from '../schema.ts'

/** Teams in the order of their creation. */
export function createTeamStore(db: Kysely<Tables>): TeamStore {
  return {
    async put(team) {
      await db
        .insertInto('teams')
        .values({ id: team.id, name: team.name })
        .onConflict((conflict) => conflict.column('id').doUpdateSet({ name: team.name }))
        .execute()
    },

    first: () =>
      db.selectFrom('teams').select(['id', 'name']).orderBy('position').limit(1).executeTakeFirst(),
  }
}
