import type { FastifyInstance } from 'fastify'
import {
  createWebhook,
  deleteWebhook,
  findWebhook,
  listWebhooks,
  updateWebhook,
} from '../../../control/webhooks.ts'
import type { Webhook } from '../../../domain/webhook.ts'
import { parseWireType, wireType } from '../../../wire/lifecycle-event.ts'
import { schemaRef } from '../../../wire/openapi.ts'
import type { ApiParts } from '../../parts.ts'

interface WebhookBody {
  name: string
  url: string
  enabled: boolean
  events: string[]
  signatureSecret: string
}

type WebhookParams = { Params: { webhookID: string } }

/** The five operations on /events/webhooks. Secrets go in and never come out. */
export function addWebhooks(app: FastifyInstance, { control }: ApiParts): void {
  app.post<{ Body: WebhookBody }>(
    '/events/webhooks',
    { schema: { body: schemaRef('NewWebhook') } },
    async ({ body, teamId }, reply) => {
      const { signatureSecret: secret, events, ...settings } = body
      const made = await createWebhook(control, teamId, {
        ...settings,
        secret,
        events: events.map(parseWireType),
      })
      return reply.status(201).send(present(made))
    },
  )

  app.get('/events/webhooks', async ({ teamId }) => (await listWebhooks(control, teamId)).map(present))

  app.get<WebhookParams>('/events/webhooks/:webhookID', async ({ teamId, params }) =>
    present(await findWebhook(control, { teamId, id: params.webhookID })),
  )

  app.patch<WebhookParams & { Body: Partial<WebhookBody> }>(
    '/events/webhooks/:webhookID',
    { schema: { body: schemaRef('WebhookUpdate') } },
    async ({ teamId, params, body }) => {
      const { signatureSecret: secret, events, ...settings } = body
      const changed = await updateWebhook(
        control,
        { teamId, id: params.webhookID },
        {
          ...settings,
          ...(secret !== undefined && { secret }),
          ...(events !== undefined && { events: events.map(parseWireType) }),
        },
      )
      return present(changed)
    },
  )

  app.delete<WebhookParams>('/events/webhooks/:webhookID', async ({ teamId, params }, reply) => {
    await deleteWebhook(control, { teamId, id: params.webhookID })
    return reply.status(200).send()
  })
}

function present({ id, teamId, name, url, enabled, events, createdAt, lastError }: Webhook) {
  return {
    id,
    teamId,
    name,
    url,
    enabled,
    events: events.map(wireType),
    createdAt: new Date(createdAt).toISOString(),
    ...(lastError !== null && { lastError }),
  }
}
