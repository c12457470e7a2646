import { type Kysely, sql } from 'kysely'
import type { LatestBuilds } from '../../domain/template-build.ts'
import type { Tables, TemplateBuildRow } from '../schema.ts'

/** Templates that one statement is about: far fewer than SQL takes parameters. */
const batchSize = 1_000

/** The newest builds of templates, by template; `toBuild` reads a row. */
export async function latestBuilds(
  db: Kysely<Tables>,
  templateIds: readonly string[],
  toBuild: (row: TemplateBuildRow) => LatestBuilds['newest'],
): Promise<Map<string, LatestBuilds>> {
  const found = new Map<string, LatestBuilds>()
  for (let first = 0; first < templateIds.length; first += batchSize) {
    const ids = templateIds.slice(first, first + batchSize)
    for (const { build_count: buildCount, ...row } of await newest(db, ids)) {
      found.set(row.template_id, { buildCount: Number(buildCount), newest: toBuild(row), current: undefined })
    }
    for (const { build_count: _, ...row } of await newest(db, ids, 'ready')) {
      const latest = found.get(row.template_id)
      if (latest !== undefined) latest.current = toBuild(row)
    }
  }
  return found
}

/** The newest of each template, of those in one status or of all, with how many there are. */
function newest(db: Kysely<Tables>, ids: readonly string[], status?: TemplateBuildRow['status']) {
  const place = sql<number>`row_number() over (partition by template_id order by created_at desc, id desc)`
  const count = sql<number>`count(*) over (partition by template_id)`
  let ranked = db
    .selectFrom('template_builds')
    .select(['id', place.as('place'), count.as('build_count')])
    .where('template_id', 'in', ids)
  if (status !== undefined) ranked = ranked.where('status', '=', status)
  return db
    .selectFrom(ranked.as('ranked'))
    .innerJoin('template_builds', 'template_builds.id', 'ranked.id')
    .selectAll('template_builds')
    .select('ranked.build_count')
    .where('ranked.place', '=', 1)
    .execute()
}
