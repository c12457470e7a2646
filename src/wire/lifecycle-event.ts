/** Lifecycle events as E2B's events API and webhooks have them. */
import { ServerError } from '../domain/error.ts'
import {
  type LifecycleEvent,
  type LifecycleEventType,
  lifecycleEventTypes,
} from '../domain/lifecycle-event.ts'

export interface LifecycleEventBody {
  version: 'v2'
  id: string
  type: string
  timestamp: string
  sandboxId: string
  sandboxTeamId: string
  sandboxTemplateId: string
  /** The template's again, as templates have one build */
  sandboxBuildId: string
  /** The sandbox's again, as an execution has no id of its own */
  sandboxExecutionId: string
  eventData: Record<string, unknown>
}

const prefix = 'sandbox.lifecycle.'

/** Where E2B has another word. */
const wireNames: Partial<Record<LifecycleEventType, string>> = { snapshotted: 'checkpointed' }

export function wireType(type: LifecycleEventType): string {
  return `${prefix}${wireNames[type] ?? type}`
}

/** Errors: `invalid_argument`. */
export function parseWireType(text: string): LifecycleEventType {
  const type = lifecycleEventTypes.find((known) => wireType(known) === text)
  if (type !== undefined) return type
  const known = lifecycleEventTypes.map(wireType).join(', ')
  throw new ServerError(
    'invalid_argument',
    `'${text.slice(0, 64)}' is not a type of event. Known are: ${known}.`,
  )
}

export function presentLifecycleEvent(event: LifecycleEvent): LifecycleEventBody {
  const { metadata, execution, ...rest } = event.detail
  return {
    version: 'v2',
    id: event.id,
    type: wireType(event.type),
    timestamp: new Date(event.at).toISOString(),
    sandboxId: event.sandboxId,
    sandboxTeamId: event.teamId,
    sandboxTemplateId: event.templateId,
    sandboxBuildId: event.templateId,
    sandboxExecutionId: event.sandboxId,
    eventData: {
      sandbox_metadata: metadata ?? {},
      ...(execution !== undefined && { execution }),
      ...(event.reason !== null && { reason: event.reason }),
      ...rest,
    },
  }
}
