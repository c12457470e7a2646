import type { Kysely, Transaction } from 'kysely'
import { ServerError } from '../../domain/error.ts'
import type { Template, TemplateStore } from '../../domain/template.ts'
import type { Tables, TemplateRow } from '../schema.ts'
import { compiledOnce } from './compiled-once.ts'

/** Templates with the names they answer to. */
export function createTemplateStore(db: Kysely<Tables>): TemplateStore {
  const byName = compiledOnce(db, (nameOrId, teamId) =>
    db
      .selectFrom('templates')
      .selectAll()
      .where('kind', '!=', 'fork')
      .where((where) => {
        const isSeen = where.or([where('team_id', 'is', null), where('team_id', '=', teamId)])
        const named = where.selectFrom('template_aliases').select('template_id').where('alias', '=', nameOrId)
        return where.or([
          where.and([where('id', '=', nameOrId), where.or([isSeen, where('is_public', '=', 1)])]),
          where.and([where('id', 'in', named), isSeen]),
        ])
      })
      .orderBy((order) => order.and([order('id', '=', nameOrId), order('team_id', 'is not', null)]), 'desc')
      .orderBy((order) => order('team_id', 'is', null))
      .limit(1),
  )

  return {
    create: (template) => db.transaction().execute((part) => insertTemplate(part, template)),

    async put(template) {
      const { id, ...values } = toRow(template)
      await db.transaction().execute(async (part) => {
        await part
          .insertInto('templates')
          .values({ id, ...values })
          .onConflict((conflict) => conflict.column('id').doUpdateSet(values))
          .execute()
        await part.deleteFrom('template_aliases').where('template_id', '=', id).execute()
        await insertAliases(part, template)
      })
    },

    async find(id) {
      const row = await db.selectFrom('templates').selectAll().where('id', '=', id).executeTakeFirst()
      return row && withAliases(db, row)
    },

    async findByAlias(teamId, alias) {
      const row = await db
        .selectFrom('templates')
        .selectAll()
        .where('team_id', teamId === null ? 'is' : '=', teamId)
        .where('kind', '!=', 'fork')
        .where('id', 'in', (from) =>
          from.selectFrom('template_aliases').select('template_id').where('alias', '=', alias),
        )
        .executeTakeFirst()
      return row && withAliases(db, row)
    },

    async resolve(nameOrId, teamId) {
      const [row] = await byName(nameOrId, teamId)
      return row && withAliases(db, row)
    },

    async list({ teamId, visibleTo, kind, after, limit }) {
      let query = db.selectFrom('templates').selectAll().orderBy('created_at', 'desc').orderBy('id', 'desc')
      if (teamId !== undefined) query = query.where('team_id', teamId === null ? 'is' : '=', teamId)
      if (visibleTo !== undefined) {
        query = query.where((where) =>
          where.or([where('team_id', 'is', null), where('team_id', '=', visibleTo)]),
        )
      }
      if (kind !== undefined) query = query.where('kind', '=', kind)
      if (after !== undefined) {
        query = query.where((where) =>
          where(where.refTuple('created_at', 'id'), '<', where.tuple(after.createdAt, after.id)),
        )
      }
      if (limit !== undefined) query = query.limit(limit)
      return Promise.all((await query.execute()).map((row) => withAliases(db, row)))
    },

    async count({ teamId, kind }) {
      let query = db.selectFrom('templates').select(({ fn }) => fn.countAll<number>().as('count'))
      if (teamId !== undefined) query = query.where('team_id', teamId === null ? 'is' : '=', teamId)
      if (kind !== undefined) query = query.where('kind', '=', kind)
      return Number((await query.executeTakeFirstOrThrow()).count)
    },

    async update(id, { aliases, isPublic, kind, updatedAt }) {
      await db.transaction().execute(async (part) => {
        const row = await part
          .updateTable('templates')
          .set({
            // Setting the id to itself keeps an empty update a valid statement.
            id,
            ...(isPublic !== undefined && { is_public: Number(isPublic) }),
            ...(kind !== undefined && { kind }),
            ...(updatedAt !== undefined && { updated_at: updatedAt }),
          })
          .where('id', '=', id)
          .returning('team_id')
          .executeTakeFirst()
        if (row === undefined) throw new ServerError('not_found', `There is no template with id '${id}'.`)
        if (aliases === undefined) return
        await part.deleteFrom('template_aliases').where('template_id', '=', id).execute()
        await insertNewAliases(part, { id, teamId: row.team_id, aliases })
      })
    },

    async remove(id) {
      await db.deleteFrom('templates').where('id', '=', id).execute()
    },
  }
}

/** As a part of a transaction. Errors: `conflict` (id or name). */
export async function insertTemplate(part: Transaction<Tables>, template: Template): Promise<void> {
  const { id } = template
  const { numInsertedOrUpdatedRows } = await part
    .insertInto('templates')
    .values(toRow(template))
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirstOrThrow()
  if (numInsertedOrUpdatedRows !== 1n) {
    throw new ServerError('conflict', `A template with id '${id}' exists already.`)
  }
  await insertNewAliases(part, template)
}

type Named = Pick<Template, 'id' | 'teamId' | 'aliases'>

/** Errors: `conflict` (the team has a template of one of the names). */
async function insertNewAliases(part: Transaction<Tables>, named: Named): Promise<void> {
  const { teamId, aliases } = named
  if (aliases.length === 0) return
  const taken = await part
    .selectFrom('template_aliases')
    .innerJoin('templates', 'templates.id', 'template_aliases.template_id')
    .select('alias')
    .where('alias', 'in', aliases)
    .where('team_id', teamId === null ? 'is' : '=', teamId)
    .executeTakeFirst()
  if (taken !== undefined) throw new ServerError('conflict', `There is a template '${taken.alias}' already.`)
  await insertAliases(part, named)
}

async function insertAliases(part: Transaction<Tables>, { id, aliases }: Named): Promise<void> {
  const rows = [...new Set(aliases)].map((alias, position) => ({ template_id: id, alias, position }))
  if (rows.length > 0) await part.insertInto('template_aliases').values(rows).execute()
}

export async function withAliases(db: Kysely<Tables>, row: TemplateRow): Promise<Template> {
  const aliases = await db
    .selectFrom('template_aliases')
    .select('alias')
    .where('template_id', '=', row.id)
    .orderBy('position')
    .execute()
  return {
    id: row.id,
    teamId: row.team_id,
    aliases: aliases.map(({ alias }) => alias),
    isPublic: row.is_public === 1,
    kind: row.kind,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    lastSpawnedAt: row.last_spawned_at,
    spawnCount: row.spawn_count,
  }
}

function toRow(template: Template): TemplateRow {
  return {
    id: template.id,
    team_id: template.teamId,
    is_public: Number(template.isPublic),
    kind: template.kind,
    created_at: template.createdAt,
    updated_at: template.updatedAt,
    last_spawned_at: template.lastSpawnedAt,
    spawn_count: template.spawnCount,
  }
}

/** One more sandbox has started of a template, as a part of `db`'s transaction; of one that is gone nobody counts. */
export async function countSpawn(db: Kysely<Tables>, id: string, at: number): Promise<void> {
  await db
    .updateTable('templates')
    .set((columns) => ({ spawn_count: columns('spawn_count', '+', 1), last_spawned_at: at }))
    .where('id', '=', id)
    .execute()
}
