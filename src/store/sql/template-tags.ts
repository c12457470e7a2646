import type { Kysely } from 'kysely'
import { ServerError } from '../../domain/error.ts'
import type { Tag, TagStore } from '../../domain/template.ts'
import type { Tables, TemplateTagRow } from '../schema.ts'
import { compiledOnce } from './compiled-once.ts'

/** Which build a tag of a template stands for. */
export function createTagStore(db: Kysely<Tables>): TagStore {
  const byName = compiledOnce(db, (templateId, tag) =>
    db.selectFrom('template_tags').selectAll().where('template_id', '=', templateId).where('tag', '=', tag),
  )

  return {
    assign: (templateId, tags, buildId, at) =>
      db.transaction().execute(async (part) => {
        const build = await part
          .selectFrom('template_builds')
          .select('id')
          .where('id', '=', buildId)
          .where('template_id', '=', templateId)
          .executeTakeFirst()
        if (build === undefined) {
          throw new ServerError('not_found', `The template has no build with id '${buildId}'.`)
        }
        await assignTags(part, { templateId, tags, buildId, at })
        await part.updateTable('templates').set({ updated_at: at }).where('id', '=', templateId).execute()
      }),

    async find(templateId, tag) {
      const [row] = await byName(templateId, tag)
      return row && toTag(row)
    },

    async list(templateId) {
      const rows = await db
        .selectFrom('template_tags')
        .selectAll()
        .where('template_id', '=', templateId)
        .orderBy('created_at', 'desc')
        .orderBy('tag')
        .execute()
      return rows.map(toTag)
    },

    async remove(templateId, tags) {
      if (tags.length === 0) return
      await db
        .deleteFrom('template_tags')
        .where('template_id', '=', templateId)
        .where('tag', 'in', tags)
        .execute()
    },
  }
}

/** As a part of `db`'s transaction. */
export async function assignTags(
  db: Kysely<Tables>,
  {
    templateId,
    tags,
    buildId,
    at,
  }: { templateId: string; tags: readonly string[]; buildId: string; at: number },
): Promise<void> {
  for (const tag of tags) {
    const values = { build_id: buildId, created_at: at }
    await db
      .insertInto('template_tags')
      .values({ template_id: templateId, tag, ...values })
      .onConflict((conflict) => conflict.columns(['template_id', 'tag']).doUpdateSet(values))
      .execute()
  }
}

function toTag(row: TemplateTagRow): Tag {
  return { templateId: row.template_id, tag: row.tag, buildId: row.build_id, createdAt: row.created_at }
}
