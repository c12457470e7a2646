import type { Kysely } from 'kysely'
import { logLevels } from '../../domain/sandbox-log.ts'
import type { BuildLogStore } from '../../domain/template-build.ts'
import type { Tables } from '../schema.ts'

/** Entries of one build; a build that says more has said the rest in vain. */
const maxEntries = 20_000

/** What builds said. */
export function createBuildLogStore(db: Kysely<Tables>): BuildLogStore {
  return {
    append: (buildId, entries) =>
      db.transaction().execute(async (part) => {
        const build = await part
          .selectFrom('template_builds')
          .select('id')
          .where('id', '=', buildId)
          .executeTakeFirst()
        if (build === undefined) return
        const { next } = await part
          .selectFrom('template_build_logs')
          .select(({ fn }) => fn.max('entry_index').as('next'))
          .where('build_id', '=', buildId)
          .executeTakeFirstOrThrow()
        const first = next === null ? 0 : Number(next) + 1
        for (const [at, entry] of entries.slice(0, Math.max(0, maxEntries - first)).entries()) {
          await part
            .insertInto('template_build_logs')
            .values({ build_id: buildId, entry_index: first + at, ...entry })
            .execute()
        }
      }),

    async list({ buildId, minLevel, offset = 0, cursor, order = 'asc', limit }) {
      let query = db
        .selectFrom('template_build_logs')
        .selectAll()
        .where('build_id', '=', buildId)
        .orderBy('entry_index', order)
        .limit(limit)
        .offset(offset)
      if (minLevel !== undefined) {
        query = query.where('level', 'in', logLevels.slice(logLevels.indexOf(minLevel)))
      }
      if (cursor !== undefined) query = query.where('at', order === 'asc' ? '>=' : '<=', cursor)
      const rows = await query.execute()
      return rows.map(({ entry_index: index, at, level, message, step }) => ({
        index,
        at,
        level,
        message,
        step,
      }))
    },
  }
}
