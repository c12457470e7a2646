/** What a store says of runtimes; in SQL, as `doctor` asks a database that it must not change. */

/**
 * Names of those that sandboxes are of. Guests that wait for one, which a crash has left, are of the runtime that the server
 * ran on last, as its stock templates are.
 */
export const runtimesOfSandboxes = `
  select runtime from sandboxes
  union
  select runtime from (
    select runtime from template_builds where team_id is null and exists (select 1 from warm_guests)
    order by created_at desc limit 1
  ) as latest
  order by runtime`

/** Names of those that images of teams' builds are of, done or under way. */
export const runtimesOfBuilds = `
  select distinct runtime from template_builds
  where team_id is not null and status in ('building', 'ready')
  order by runtime`
