/**
 * Tells webhooks of events, each webhook one after another, in order, at least once. Where each one is stands in the
 * store before and after every attempt, so nothing is lost by a crash; an event whose delivery a crash interrupts is
 * delivered again, under another delivery id.
 */
import { createHash, createHmac, randomUUID } from 'node:crypto'
import type { LifecycleEvent, LifecycleEventType } from '../domain/lifecycle-event.ts'
import type { SendDelivery, Webhook } from '../domain/webhook.ts'
import { anySignal, sleep } from '../lib/deadline.ts'
import type { ControlContext } from './context.ts'

/** Time between two looks for new events, in ms. */
const intervalMs = 500
/** How long one attempt may take, in ms. */
const attemptTimeoutMs = 10_000
/** Attempts at one event; then it is given up, and the webhook says so. The last is about twenty minutes after the first. */
const attemptsMax = 12
/** Wait after the first failure and the longest wait, in ms; doubled in between, and up to a quarter longer. */
const retryMs = { first: 1_000, last: 300_000 }
/** Webhooks that are served side by side. */
const parallel = 16
/** Events read at a time. */
const batch = 100

export interface DeliveryParts {
  ctx: Pick<ControlContext, 'store' | 'clock' | 'log'>
  send: SendDelivery
  /** The event as its receiver gets it */
  present: (event: LifecycleEvent) => unknown
}

/** Delivers until the signal aborts. */
export async function runWebhooks(parts: DeliveryParts, signal: AbortSignal): Promise<void> {
  const deliverer = createDeliverer(parts)
  while (!signal.aborted) {
    try {
      await deliverer.look(signal)
    } catch (error) {
      parts.ctx.log.error({ err: error }, 'webhooks could not be looked at')
    }
    await sleep(intervalMs, signal).catch(() => {})
  }
  await deliverer.idle()
}

export interface Deliverer {
  /** Begins with every webhook that has something to be told and isn't being told already. */
  look(signal: AbortSignal): Promise<void>
  /** Resolves when what was begun is over. */
  idle(): Promise<void>
}

export function createDeliverer(parts: DeliveryParts): Deliverer {
  const { store, clock, log } = parts.ctx
  const busy = new Map<string, Promise<void>>()
  /** When each was last served, in turns: whoever has waited longest comes first */
  let turns = new Map<string, number>()
  let turn = 0

  return {
    async look(signal) {
      const [newest] = await store.events.list({ order: 'desc', limit: 1 })
      if (newest === undefined) return
      const now = clock.now()
      const enabled = await store.webhooks.list({ enabled: true })
      turns = new Map(enabled.map(({ id }) => [id, turns.get(id) ?? 0]))
      enabled.sort((a, b) => (turns.get(a.id) ?? 0) - (turns.get(b.id) ?? 0))
      for (const { id, cursor, notBefore } of enabled) {
        if (busy.has(id) || cursor >= newest.sequence || notBefore > now || busy.size >= parallel) continue
        turns.set(id, ++turn)
        const serving = serve(parts, id, signal)
          .catch((error) => log.error({ err: error, webhookId: id }, 'a webhook could not be served'))
          .finally(() => busy.delete(id))
        busy.set(id, serving)
      }
    },
    async idle() {
      while (busy.size > 0) await Promise.all(busy.values())
    },
  }
}

/** Tells one webhook of the next events that it hasn't been told of, until one fails: a batch, then others have their turn. */
async function serve(parts: DeliveryParts, id: string, signal: AbortSignal): Promise<void> {
  const { store } = parts.ctx
  const webhook = await store.webhooks.find(id)
  if (webhook === undefined || !webhook.enabled) return
  const { teamId, cursor } = webhook
  const events = await store.events.list({ teamId, afterSequence: cursor, limit: batch })
  if (events.length === 0) return skipOthers(parts, webhook)
  for (const event of events) {
    if (signal.aborted) return
    if (!wants(webhook, event.type)) {
      await store.webhooks.update(id, { cursor: event.sequence })
      continue
    }
    // It may have been changed or removed since.
    const present = await store.webhooks.find(id)
    if (present === undefined || !present.enabled) return
    if (!(await attempt(parts, present, event, signal))) return
  }
}

/** Past the events of other teams, so that there is nothing to look for next time. */
async function skipOthers({ ctx: { store } }: DeliveryParts, { id, teamId, cursor }: Webhook): Promise<void> {
  const [newest] = await store.events.list({ order: 'desc', limit: 1 })
  if (newest === undefined || newest.sequence <= cursor) return
  // An event of its own may have come between the two looks.
  const own = await store.events.list({
    teamId,
    afterSequence: cursor,
    beforeSequence: newest.sequence + 1,
    limit: 1,
  })
  if (own.length === 0) await store.webhooks.update(id, { cursor: newest.sequence })
}

function wants({ events }: Webhook, type: LifecycleEventType): boolean {
  return events.length === 0 || events.includes(type)
}

/** Whether the event is done with. */
async function attempt(
  { ctx: { store, clock, log }, send, present }: DeliveryParts,
  webhook: Webhook,
  event: LifecycleEvent,
  signal: AbortSignal,
): Promise<boolean> {
  const body = JSON.stringify(present(event))
  const { id, url } = webhook
  const done = { cursor: event.sequence, attempts: 0, notBefore: 0 }
  try {
    const either = anySignal(signal, AbortSignal.timeout(attemptTimeoutMs))
    await send({ url, body, headers: headersOf(webhook, body) }, either)
    await store.webhooks.update(id, { ...done, lastError: null })
    return true
  } catch (error) {
    if (signal.aborted) return false
    const lastError = `${(error as Error).message}`.slice(0, 500)
    const attempts = webhook.attempts + 1
    if (attempts >= attemptsMax) {
      log.warn({ webhookId: id, eventId: event.id, attempts }, 'a webhook was not told of an event: given up')
      await store.webhooks.update(id, {
        ...done,
        lastError: `Event ${event.id} was given up after ${attempts} attempts: ${lastError}`,
      })
      return true
    }
    const waitMs = Math.min(retryMs.first * 2 ** (attempts - 1), retryMs.last) * (1 + Math.random() / 4)
    await store.webhooks.update(id, { attempts, notBefore: clock.now() + waitMs, lastError })
    return false
  }
}

/**
 * E2B's signature (SHA-256 over secret and body, base64 without padding), and one of ours that can't be extended and
 * covers the delivery's id: HMAC-SHA256 over `<delivery id>.<body>` in hex.
 */
function headersOf({ id, secret }: Webhook, body: string): Record<string, string> {
  const deliveryId = randomUUID()
  const signature = createHash('sha256').update(`${secret}${body}`).digest('base64').replace(/=+$/, '')
  const hmac = createHmac('sha256', secret).update(`${deliveryId}.${body}`).digest('hex')
  return {
    'content-type': 'application/json',
    'user-agent': 'e2b-server',
    'e2b-webhook-id': id,
    'e2b-delivery-id': deliveryId,
    'e2b-signature-version': 'v1',
    'e2b-signature': signature,
    'e2b-signature-hmac': `sha256=${hmac}`,
  }
}
