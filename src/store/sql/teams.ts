import type { Kysely, Selectable } from 'kysely'
import { ServerError } from '../../domain/error.ts'
import type { Team, TeamStore } from '../../domain/team.ts'
import type { Tables, TeamRow } from '../schema.ts'
import { compiledOnce } from './compiled-once.ts'

/** Teams in the order of their creation. */
export function createTeamStore(db: Kysely<Tables>): TeamStore {
  const teams = () => db.selectFrom('teams').selectAll().orderBy('position')
  const byId = compiledOnce(db, (id) => teams().where('id', '=', id))

  return {
    async create(team) {
      const { numInsertedOrUpdatedRows } = await db
        .insertInto('teams')
        .values({
          id: team.id,
          name: team.name,
          slug: team.slug,
          created_at: team.createdAt,
          limits: JSON.stringify(team.limits),
        })
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirstOrThrow()
      if (numInsertedOrUpdatedRows !== 1n) {
        throw new ServerError('conflict', `A team '${team.slug}' exists already.`)
      }
    },

    async find(id) {
      const [row] = await byId(id)
      return row && toTeam(row)
    },

    async findBySlug(slug) {
      const row = await teams().where('slug', '=', slug).executeTakeFirst()
      return row && toTeam(row)
    },

    async list() {
      return (await teams().execute()).map(toTeam)
    },

    async first() {
      const row = await teams().limit(1).executeTakeFirst()
      return row && toTeam(row)
    },

    async setLimits(id, limits) {
      const { numUpdatedRows } = await db
        .updateTable('teams')
        .set({ limits: JSON.stringify(limits) })
        .where('id', '=', id)
        .executeTakeFirstOrThrow()
      if (numUpdatedRows !== 1n) throw new ServerError('not_found', `There is no team with id '${id}'.`)
    },
  }
}

function toTeam(row: Selectable<TeamRow>): Team {
  return {
    id: row.id,
    name: row.name,
    slug: row.slug,
    createdAt: row.created_at,
    limits: JSON.parse(row.limits),
  }
}
