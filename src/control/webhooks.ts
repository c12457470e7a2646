/** A team's webhooks: made, changed and removed by their owner. */
import { randomUUID } from 'node:crypto'
import { ServerError } from '../domain/error.ts'
import type { Webhook } from '../domain/webhook.ts'
import type { ControlContext } from './context.ts'

/** Most webhooks of one team. */
const perTeamMax = 50

export type WebhookSettings = Pick<Webhook, 'name' | 'url' | 'enabled' | 'events' | 'secret'>
type Context = Pick<ControlContext, 'store' | 'clock'>
interface WebhookRef {
  teamId: string
  id: string
}

/** It is told of what happens from now on. Errors: `invalid_argument`, `resource_exhausted`. */
export async function createWebhook(
  { store, clock }: Context,
  teamId: string,
  settings: WebhookSettings,
): Promise<Webhook> {
  checkUrl(settings.url)
  const [newest] = await store.events.list({ order: 'desc', limit: 1 })
  const webhook: Webhook = {
    ...settings,
    id: randomUUID(),
    teamId,
    createdAt: clock.now(),
    cursor: newest?.sequence ?? 0,
    attempts: 0,
    notBefore: 0,
    lastError: null,
  }
  if (await store.webhooks.create(webhook, perTeamMax)) return webhook
  throw new ServerError('resource_exhausted', `A team has at most ${perTeamMax} webhooks. Delete one first.`)
}

export function listWebhooks({ store }: Context, teamId: string): Promise<Webhook[]> {
  return store.webhooks.list({ teamId })
}

/** Another team's answers as if it didn't exist. Errors: `not_found`. */
export async function findWebhook({ store }: Context, { teamId, id }: WebhookRef): Promise<Webhook> {
  const webhook = await store.webhooks.find(id)
  if (webhook?.teamId === teamId) return webhook
  throw new ServerError('not_found', `Webhook "${id}" doesn't exist or you don't have access to it`)
}

/** What was waiting is tried at once. One that was off is told of nothing that happened meanwhile. Errors: `not_found`, `invalid_argument`. */
export async function updateWebhook(
  ctx: Context,
  ref: WebhookRef,
  settings: Partial<WebhookSettings>,
): Promise<Webhook> {
  if (settings.url !== undefined) checkUrl(settings.url)
  const before = await findWebhook(ctx, ref)
  const isTurnedOn = settings.enabled === true && !before.enabled
  const [newest] = isTurnedOn ? await ctx.store.events.list({ order: 'desc', limit: 1 }) : []
  await ctx.store.webhooks.update(ref.id, {
    ...settings,
    attempts: 0,
    notBefore: 0,
    ...(newest !== undefined && { cursor: newest.sequence }),
  })
  return findWebhook(ctx, ref)
}

/** Errors: `not_found`. */
export async function deleteWebhook(ctx: Context, ref: WebhookRef): Promise<void> {
  await findWebhook(ctx, ref)
  await ctx.store.webhooks.remove(ref.id)
}

/** Errors: `invalid_argument`. */
function checkUrl(text: string): void {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isWeb = url?.protocol === 'http:' || url?.protocol === 'https:'
  if (isWeb && url.username === '' && url.password === '') return
  throw new ServerError('invalid_argument', "'url' must be an http or https URL without a user name.")
}
