import { type ExpressionBuilder, type Kysely, sql } from 'kysely'
import { ServerError } from '../../domain/error.ts'
import type { BuildFilter, BuildStore, TaggedSnapshot, TemplateBuild } from '../../domain/template-build.ts'
import type { Tables, TemplateBuildRow } from '../schema.ts'
import { compiledOnce } from './compiled-once.ts'
import { latestBuilds } from './latest-builds.ts'
import { appendEvent } from './lifecycle-events.ts'
import { assignTags } from './template-tags.ts'
import { insertTemplate, withAliases } from './templates.ts'

/** Builds of templates, snapshots among them. */
export function createBuildStore(db: Kysely<Tables>): BuildStore {
  const byId = compiledOnce(db, (id) => db.selectFrom('template_builds').selectAll().where('id', '=', id))

  return {
    create: (build, { template, plan } = {}) =>
      db.transaction().execute(async (part) => {
        if (template !== undefined) await insertTemplate(part, template)
        await requireTemplate(part, build.templateId)
        const { numInsertedOrUpdatedRows } = await part
          .insertInto('template_builds')
          .values(toRow(build))
          .onConflict((conflict) => conflict.doNothing())
          .executeTakeFirstOrThrow()
        if (numInsertedOrUpdatedRows !== 1n) {
          throw new ServerError('conflict', `A build with id '${build.id}' exists already.`)
        }
        if (plan !== undefined) {
          const row = { build_id: build.id, plan: JSON.stringify(plan) }
          await part.insertInto('template_build_plans').values(row).execute()
        }
      }),

    async find(id) {
      const [row] = await byId(id)
      return row && toBuild(row)
    },

    async plan(id) {
      const row = await db
        .selectFrom('template_build_plans')
        .select('plan')
        .where('build_id', '=', id)
        .executeTakeFirst()
      return row && JSON.parse(row.plan)
    },

    latest: (templateIds) => latestBuilds(db, templateIds, toBuild),

    async list(filter) {
      let query = db
        .selectFrom('template_builds')
        .selectAll()
        .where((where) => matches(where, filter))
        .orderBy('created_at', 'desc')
        .orderBy('id', 'desc')
      if (filter.limit !== undefined) query = query.limit(filter.limit)
      return (await query.execute()).map(toBuild)
    },

    async count(filter) {
      const { count } = await db
        .selectFrom('template_builds')
        .select((select) => select.fn.countAll<number>().as('count'))
        .where((where) => matches(where, filter))
        .executeTakeFirstOrThrow()
      return Number(count)
    },

    update: (id, update, from) =>
      db.transaction().execute(async (part) => {
        const { numUpdatedRows } = await part
          .updateTable('template_builds')
          .set({ id, ...toColumns(update) })
          .where('id', '=', id)
          .where('status', '=', from)
          .executeTakeFirstOrThrow()
        if (numUpdatedRows !== 1n) throw await notAsExpected(part, id)
      }),

    complete: (id, { at, tags, ...outcome }, event) =>
      db.transaction().execute(async (part) => {
        const done = { ...outcome, status: 'ready', finishedAt: at } as const
        const row = await part
          .updateTable('template_builds')
          .set(toColumns(done))
          .where('id', '=', id)
          .where('status', '=', 'building')
          .returning('template_id')
          .executeTakeFirst()
        if (row === undefined) throw await notAsExpected(part, id)
        await assignTags(part, { templateId: row.template_id, tags, buildId: id, at })
        await part
          .updateTable('templates')
          .set({ updated_at: at })
          .where('id', '=', row.template_id)
          .execute()
        if (event !== undefined) await appendEvent(part, event)
      }),

    async snapshots({ teamId, sandboxId, templateId, tag, after, limit }) {
      const place = sql<number>`row_number() over (
        partition by template_builds.template_id
        order by template_builds.created_at desc, template_builds.id desc, template_tags.tag
      )`
      let ranked = db
        .selectFrom('template_builds')
        .innerJoin('template_tags', 'template_tags.build_id', 'template_builds.id')
        .innerJoin('templates', 'templates.id', 'template_builds.template_id')
        .select(['template_builds.id', 'template_tags.tag', place.as('place')])
        .where('template_builds.team_id', '=', teamId)
        .where('template_builds.status', '=', 'ready')
        .where('template_builds.origin_sandbox_id', 'is not', null)
        .where('templates.kind', '!=', 'fork')
      if (sandboxId !== undefined) ranked = ranked.where('origin_sandbox_id', '=', sandboxId)
      if (templateId !== undefined) ranked = ranked.where('template_builds.template_id', '=', templateId)
      if (tag !== undefined) ranked = ranked.where('template_tags.tag', '=', tag)
      let query = db
        .selectFrom(ranked.as('ranked'))
        .innerJoin('template_builds', 'template_builds.id', 'ranked.id')
        .selectAll('template_builds')
        .select('ranked.tag')
        .where('ranked.place', '=', 1)
        .orderBy('created_at', 'desc')
        .orderBy('template_builds.id', 'desc')
      if (after !== undefined) {
        query = query.where((where) =>
          where(
            where.refTuple('template_builds.created_at', 'template_builds.id'),
            '<',
            where.tuple(after.createdAt, after.id),
          ),
        )
      }
      if (limit !== undefined) query = query.limit(limit)
      return Promise.all((await query.execute()).map((row) => withTemplate(db, row)))
    },

    remove: (id) =>
      db.transaction().execute(async (part) => {
        const row = await part
          .deleteFrom('template_builds')
          .where('id', '=', id)
          .returning('template_id')
          .executeTakeFirst()
        if (row === undefined) return
        await part
          .deleteFrom('templates')
          .where('id', '=', row.template_id)
          .where('kind', '!=', 'template')
          .where((where) =>
            where.not(
              where.exists(
                where.selectFrom('template_builds').select('id').where('template_id', '=', row.template_id),
              ),
            ),
          )
          .execute()
      }),
  }
}

async function withTemplate(
  db: Kysely<Tables>,
  row: TemplateBuildRow & { tag: string },
): Promise<TaggedSnapshot> {
  const template = await db
    .selectFrom('templates')
    .selectAll()
    .where('id', '=', row.template_id)
    .executeTakeFirstOrThrow()
  return { template: await withAliases(db, template), build: toBuild(row), tag: row.tag }
}

async function requireTemplate(part: Kysely<Tables>, id: string): Promise<void> {
  const row = await part.selectFrom('templates').select('id').where('id', '=', id).executeTakeFirst()
  if (row === undefined) throw new ServerError('not_found', `There is no template with id '${id}'.`)
}

/** Why a build wasn't changed. */
async function notAsExpected(part: Kysely<Tables>, id: string): Promise<ServerError> {
  const row = await part
    .selectFrom('template_builds')
    .select('status')
    .where('id', '=', id)
    .executeTakeFirst()
  if (row === undefined) return new ServerError('not_found', `There is no build with id '${id}'.`)
  return new ServerError('conflict', `Build '${id}' is ${row.status} already.`)
}

function matches(where: ExpressionBuilder<Tables, 'template_builds'>, filter: BuildFilter) {
  const { templateId, teamId, statuses, isSnapshot, kind, image, after } = filter
  const conditions = []
  if (templateId !== undefined) conditions.push(where('template_id', '=', templateId))
  if (teamId !== undefined) conditions.push(where('team_id', '=', teamId))
  if (statuses !== undefined) conditions.push(where('status', 'in', statuses))
  if (isSnapshot !== undefined) {
    conditions.push(where('origin_sandbox_id', isSnapshot ? 'is not' : 'is', null))
  }
  if (kind !== undefined) {
    const ofKind = where.selectFrom('templates').select('id').where('kind', '=', kind)
    conditions.push(where('template_id', 'in', ofKind))
  }
  if (image !== undefined) conditions.push(where('image', '=', image))
  if (after !== undefined) {
    conditions.push(where(where.refTuple('created_at', 'id'), '<', where.tuple(after.createdAt, after.id)))
  }
  return where.and(conditions)
}

function toColumns(update: Partial<TemplateBuild>): Partial<TemplateBuildRow> {
  const columns: Partial<TemplateBuildRow> = {}
  if (update.status !== undefined) columns.status = update.status
  if (update.image !== undefined) columns.image = update.image
  if (update.diskMb !== undefined) columns.disk_mb = update.diskMb
  if (update.defaults !== undefined) columns.defaults = JSON.stringify(update.defaults)
  if (update.reason !== undefined) columns.reason = update.reason && JSON.stringify(update.reason)
  if (update.startedAt !== undefined) columns.started_at = update.startedAt
  if (update.finishedAt !== undefined) columns.finished_at = update.finishedAt
  return columns
}

function toRow(build: TemplateBuild): TemplateBuildRow {
  return {
    id: build.id,
    template_id: build.templateId,
    team_id: build.teamId,
    status: build.status,
    image: build.image,
    runtime: build.runtime,
    cpu_count: build.cpuCount,
    memory_mb: build.memoryMb,
    disk_mb: build.diskMb,
    defaults: JSON.stringify(build.defaults),
    origin_sandbox_id: build.origin?.sandboxId ?? null,
    origin_template_id: build.origin?.templateId ?? null,
    reason: build.reason && JSON.stringify(build.reason),
    created_at: build.createdAt,
    started_at: build.startedAt,
    finished_at: build.finishedAt,
  }
}

function toBuild(row: TemplateBuildRow): TemplateBuild {
  const { origin_sandbox_id: sandboxId, origin_template_id: templateId } = row
  return {
    id: row.id,
    templateId: row.template_id,
    teamId: row.team_id,
    status: row.status,
    image: row.image,
    runtime: row.runtime,
    cpuCount: row.cpu_count,
    memoryMb: row.memory_mb,
    diskMb: row.disk_mb,
    defaults: JSON.parse(row.defaults),
    origin: sandboxId === null || templateId === null ? null : { sandboxId, templateId },
    reason: row.reason === null ? null : JSON.parse(row.reason),
    createdAt: row.created_at,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
  }
}
