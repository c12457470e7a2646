import { type RawBuilder, sql } from 'kysely'

/**
 * The ids in a table that no sandbox has any more, as a subquery. Goes from id to id along the table's index, which
 * begins with `sandbox_id`, so that its cost grows with the sandboxes and not with their rows.
 */
export function goneSandboxes(table: 'sandbox_metrics' | 'sandbox_logs'): RawBuilder<string> {
  const rows = sql.table(table)
  return sql`(
    with recursive known(id) as (
      select min(sandbox_id) from ${rows}
      union all
      select (select min(sandbox_id) from ${rows} where sandbox_id > known.id) from known where known.id is not null
    )
    select id from known where id is not null and id not in (select id from sandboxes)
  )`
}
