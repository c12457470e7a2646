import type { Kysely } from 'kysely'
import type { Webhook, WebhookStore, WebhookUpdate } from '../../domain/webhook.ts'
import type { Tables, WebhookRow } from '../schema.ts'

/** Who is told of events. */
export function createWebhookStore(db: Kysely<Tables>): WebhookStore {
  return {
    create(webhook, teamMax) {
      return db.transaction().execute(async (transaction) => {
        const { count } = await transaction
          .selectFrom('webhooks')
          .select(({ fn }) => fn.countAll<number>().as('count'))
          .where('team_id', '=', webhook.teamId)
          .executeTakeFirstOrThrow()
        if (count >= teamMax) return false
        await transaction.insertInto('webhooks').values(toRow(webhook)).execute()
        return true
      })
    },

    async find(id) {
      const row = await db.selectFrom('webhooks').selectAll().where('id', '=', id).executeTakeFirst()
      return row && toWebhook(row)
    },

    async list({ teamId, enabled }) {
      let query = db.selectFrom('webhooks').selectAll().orderBy('created_at').orderBy('id')
      if (teamId !== undefined) query = query.where('team_id', '=', teamId)
      if (enabled !== undefined) query = query.where('enabled', '=', Number(enabled))
      return (await query.execute()).map(toWebhook)
    },

    async update(id, update) {
      const columns = toColumns(update)
      if (Object.keys(columns).length === 0) return
      await db.updateTable('webhooks').set(columns).where('id', '=', id).execute()
    },

    async settle(id, cursor, update) {
      await db
        .updateTable('webhooks')
        .set(toColumns(update))
        .where('id', '=', id)
        .where('cursor', '=', cursor)
        .execute()
    },

    async remove(id) {
      await db.deleteFrom('webhooks').where('id', '=', id).execute()
    },
  }
}

function toColumns(update: WebhookUpdate): Partial<WebhookRow> {
  const { enabled, events, notBefore, lastError, ...same } = update
  return {
    ...same,
    ...(enabled !== undefined && { enabled: Number(enabled) }),
    ...(events !== undefined && { events: JSON.stringify(events) }),
    ...(notBefore !== undefined && { not_before: notBefore }),
    ...(lastError !== undefined && { last_error: lastError }),
  }
}

function toRow(webhook: Webhook): WebhookRow {
  return {
    id: webhook.id,
    team_id: webhook.teamId,
    name: webhook.name,
    url: webhook.url,
    enabled: Number(webhook.enabled),
    events: JSON.stringify(webhook.events),
    secret: webhook.secret,
    created_at: webhook.createdAt,
    cursor: webhook.cursor,
    attempts: webhook.attempts,
    not_before: webhook.notBefore,
    last_error: webhook.lastError,
  }
}

function toWebhook(row: WebhookRow): Webhook {
  return {
    id: row.id,
    teamId: row.team_id,
    name: row.name,
    url: row.url,
    enabled: row.enabled === 1,
    events: JSON.parse(row.events),
    secret: row.secret,
    createdAt: row.created_at,
    cursor: row.cursor,
    attempts: row.attempts,
    notBefore: row.not_before,
    lastError: row.last_error,
  }
}
