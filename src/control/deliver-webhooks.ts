/**
 * Tells webhooks of events, each webhook one after another, in order, at least once. Where each one is stands in the
 * store before and after every attempt, so nothing is lost by a crash; an event whose delivery a crash interrupts is
 * delivered again, under another delivery id.
 */

import { createHash, createHmac, randomUUID } from 'node:crypto'
import type { LifecycleEvent } from '../domain/lifecycle-event.ts'
import type { SendDelivery, Webhook } from '../domain/webhook.ts'
import { anySignal, sleep } from '../lib/deadline.ts'
import { patientSignal } from '../lib/patience.ts'
import type { ControlContext } from './context.ts'

/** Time between two looks for new events, in ms. */
const intervalMs = 500
/** How long one attempt may take, in ms. */
const attemptTimeoutMs = 10_000
/** Attempts at one event; then it is given up, and the webhook says so. The last is about twenty minutes after the first. */
const attemptsMax = 12
/** Wait after the first failure and the longest wait, in ms; doubled in between, and up to a quarter longer. */
const retryMs = { first: 1_000, last: 300_000 }
/** Webhooks that are served side by side, all and those of one team: slow ones leave room for other teams'. */
const parallel = { all: 64, team: 8 }
/** How long one webhook is served before others have their turn, in ms. */
const turnMs = 5_000

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
  const busy = new Map<string, { teamId: string; over: Promise<void> }>()
  /** Up to which event there was nothing more for a webhook. Only here: what others do is no reason to write. */
  const nothingUpTo = new Map<string, number>()
  /** Those that have been served, the one that waits longest first */
  const served = new Set<string>()

  return {
    async look(signal) {
      const [newest] = await store.events.list({ order: 'desc', limit: 1 })
      if (newest === undefined) return
      const enabled = await store.webhooks.list({ enabled: true })
      forgetAllBut(new Set(enabled.map(({ id }) => id)))
      const now = clock.now()
      const due = enabled.filter(
        ({ id, cursor, notBefore }) =>
          !busy.has(id) && notBefore <= now && Math.max(cursor, nothingUpTo.get(id) ?? 0) < newest.sequence,
      )
      for (const { id, teamId } of inTurn(due)) {
        if (busy.size >= parallel.all) break
        const ofTeam = [...busy.values()].filter((other) => other.teamId === teamId)
        if (ofTeam.length < parallel.team) busy.set(id, { teamId, over: begin(id, newest.sequence, signal) })
      }
    },
    async idle() {
      while (busy.size > 0) await Promise.all([...busy.values()].map(({ over }) => over))
    },
  }

  async function begin(id: string, newest: number, signal: AbortSignal): Promise<void> {
    served.delete(id)
    served.add(id)
    try {
      if (await serve(parts, id, newest, signal)) nothingUpTo.set(id, newest)
    } catch (error) {
      log.error({ err: error, webhookId: id }, 'a webhook could not be served')
    } finally {
      busy.delete(id)
    }
  }

  /** Those that were never served first, then the one that waits longest. */
  function inTurn(webhooks: Webhook[]): Webhook[] {
    const places = new Map([...served].map((id, place) => [id, place]))
    const placeOf = ({ id }: Webhook) => places.get(id) ?? -1
    return webhooks.sort((a, b) => placeOf(a) - placeOf(b))
  }

  function forgetAllBut(ids: ReadonlySet<string>): void {
    for (const id of served) if (!ids.has(id)) served.delete(id)
    for (const id of nothingUpTo.keys()) if (!ids.has(id)) nothingUpTo.delete(id)
  }
}

/**
 * Tells one webhook of what it hasn't been told yet, until its turn is over, something fails or nothing is left up to
 * the event `newest`. Whether nothing is left.
 */
async function serve(
  parts: DeliveryParts,
  id: string,
  newest: number,
  signal: AbortSignal,
): Promise<boolean> {
  const { store } = parts.ctx
  const until = performance.now() + turnMs
  while (!signal.aborted && performance.now() < until) {
    // It may have been changed or removed since.
    const webhook = await store.webhooks.find(id)
    if (webhook === undefined || !webhook.enabled) return false
    const { teamId, cursor, events: types } = webhook
    const range = { teamId, afterSequence: cursor, beforeSequence: newest + 1, limit: 1 }
    const [next] = await store.events.list({ ...range, ...(types.length > 0 && { types }) })
    if (next === undefined) {
      const [passed] = await store.events.list({ ...range, order: 'desc' })
      if (passed !== undefined) await store.webhooks.settle(id, cursor, { cursor: passed.sequence })
      return true
    }
    if (!(await attempt(parts, webhook, next, signal))) return false
  }
  return false
}

/** Whether the event is done with. */
async function attempt(
  { ctx: { store, clock, log }, send, present }: DeliveryParts,
  webhook: Webhook,
  event: LifecycleEvent,
  signal: AbortSignal,
): Promise<boolean> {
  const body = JSON.stringify(present(event))
  const { id, url, cursor } = webhook
  const done = { cursor: event.sequence, attempts: 0, notBefore: 0 }
  try {
    const either = anySignal(signal, patientSignal(attemptTimeoutMs))
    await send({ url, body, headers: headersOf(webhook, body) }, either)
    await store.webhooks.settle(id, cursor, { ...done, lastError: null })
    return true
  } catch (error) {
    if (signal.aborted) return false
    const lastError = `${(error as Error).message}`.slice(0, 500)
    const attempts = webhook.attempts + 1
    if (attempts >= attemptsMax) {
      log.warn({ webhookId: id, eventId: event.id, attempts }, 'a webhook was not told of an event: given up')
      await store.webhooks.settle(id, cursor, {
        ...done,
        lastError: `Event ${event.id} was given up after ${attempts} attempts: ${lastError}`,
      })
      return true
    }
    const waitMs = Math.min(retryMs.first * 2 ** (attempts - 1), retryMs.last) * (1 + Math.random() / 4)
    await store.webhooks.settle(id, cursor, { attempts, notBefore: clock.now() + waitMs, lastError })
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
