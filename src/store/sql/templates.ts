import type { Kysely } from 'kysely'
import type { Template, TemplateStore } from '../../domain/template.ts'
import type { Tables, TemplateRow } from '../schema.ts'

/** Templates with the names they answer to. */
export function createTemplateStore(db: Kysely<Tables>): TemplateStore {
  const withAliases = async (row: TemplateRow): Promise<Template> => {
    const aliases = await db
      .selectFrom('template_aliases')
      .select('alias')
      .where('template_id', '=', row.id)
      .orderBy('position')
      .execute()
    return toTemplate(
      row,
      aliases.map(({ alias }) => alias),
    )
  }
  return {
    /** An id comes before an alias, the team's own template before a public one, a newer before an older one. */
    async resolve(nameOrId, teamId) {
      const row = await db
        .selectFrom('templates')
        .selectAll()
        .where((where) => where.or([where('team_id', 'is', null), where('team_id', '=', teamId)]))
        .where((where) =>
          where.or([
            where('id', '=', nameOrId),
            where(
              'id',
              'in',
              where.selectFrom('template_aliases').select('template_id').where('alias', '=', nameOrId),
            ),
          ]),
        )
        .orderBy((order) => order('id', '=', nameOrId), 'desc')
        .orderBy((order) => order('team_id', 'is', null))
        .orderBy('created_at', 'desc')
        .orderBy('id')
        .limit(1)
        .executeTakeFirst()
      return row && withAliases(row)
    },

    async list(teamId, limit) {
      const rows = await db
        .selectFrom('templates')
        .selectAll()
        .where((where) => where.or([where('team_id', 'is', null), where('team_id', '=', teamId)]))
        .orderBy((order) => order('team_id', 'is', null))
        .orderBy('id')
        .limit(limit)
        .execute()
      return Promise.all(rows.map(withAliases))
    },

    async put(template) {
      const { id, ...values } = toRow(template)
      const aliases = [...new Set(template.aliases)].map((alias, position) => ({
        template_id: id,
        alias,
        position,
      }))
      await db.transaction().execute(async (transaction) => {
        await transaction
          .insertInto('templates')
          .values({ id, ...values })
          .onConflict((conflict) => conflict.column('id').doUpdateSet(values))
          .execute()
        await transaction.deleteFrom('template_aliases').where('template_id', '=', id).execute()
        if (aliases.length > 0) await transaction.insertInto('template_aliases').values(aliases).execute()
      })
    },
  }
}

function toRow(template: Template): TemplateRow {
  return {
    id: template.id,
    team_id: template.teamId,
    image: template.image,
    runtime: template.runtime,
    cpu_count: template.cpuCount,
    memory_mb: template.memoryMb,
    disk_mb: template.diskMb,
    created_at: template.createdAt,
  }
}

function toTemplate(row: TemplateRow, aliases: string[]): Template {
  return {
    id: row.id,
    teamId: row.team_id,
    aliases,
    image: row.image,
    runtime: row.runtime,
    cpuCount: row.cpu_count,
    memoryMb: row.memory_mb,
    diskMb: row.disk_mb,
    createdAt: row.created_at,
  }
}
