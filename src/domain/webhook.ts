import type { LifecycleEventType } from './lifecycle-event.ts'

/** An address that is told of a team's events, one after another, at least once each. Times are Unix milliseconds. */
export interface Webhook {
  /** A UUID */
  id: string
  teamId: string
  name: string
  url: string
  enabled: boolean
  /** Empty: all */
  events: LifecycleEventType[]
  /** What deliveries are signed with; never shown */
  secret: string
  createdAt: number
  /** `sequence` of the last event that is done with: told, or given up */
  cursor: number
  /** Failed attempts at the next event */
  attempts: number
  /** When the next attempt may be */
  notBefore: number
  /** What the last failed attempt ended with; null after a success */
  lastError: string | null
}

export type WebhookUpdate = Partial<
  Pick<
    Webhook,
    'name' | 'url' | 'enabled' | 'events' | 'secret' | 'cursor' | 'attempts' | 'notBefore' | 'lastError'
  >
>

export interface WebhookStore {
  /** Whether it was made: not where its team has `teamMax` already. */
  create(webhook: Webhook, teamMax: number): Promise<boolean>
  find(id: string): Promise<Webhook | undefined>
  /** Oldest first; of every team where none is named. */
  list(filter: { teamId?: string; enabled?: boolean }): Promise<Webhook[]>
  /** A webhook that is gone is no error. */
  update(id: string, update: WebhookUpdate): Promise<void>
  /** Writes what came of an attempt, unless the cursor is no longer the one that the attempt began with. */
  settle(id: string, cursor: number, update: WebhookUpdate): Promise<void>
  /** Idempotent. */
  remove(id: string): Promise<void>
}

/** One attempt to tell a webhook of an event. */
export interface Delivery {
  url: string
  headers: Record<string, string>
  body: string
}

/** Sends a delivery. Resolves when it is accepted; rejects with a reason for the webhook's owner. */
export type SendDelivery = (delivery: Delivery, signal: AbortSignal) => Promise<void>
