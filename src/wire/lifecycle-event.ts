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

/**
 * The same as webhooks get it: E2B sends them snake case, and besides `type` the two names that were its forerunners.
 */
export interface LifecycleDeliveryBody {
  version: 'v2'
  id: string
  type: string
  timestamp: string
  event_category: 'lifecycle'
  event_label: string
  event_data: Record<string, unknown>
  sandbox_id: string
  sandbox_execution_id: string
  sandbox_template_id: string
  sandbox_build_id: string
  sandbox_team_id: string
}

const prefix = 'sandbox.lifecycle.'

/** Where E2B has another word. */
const wireNames: Partial<Record<LifecycleEventType, string>> = { snapshotted: 'checkpointed' }

const labels: Record<LifecycleEventType, string> = {
  created: 'create',
  updated: 'update',
  paused: 'pause',
  resumed: 'resume',
  snapshotted: 'checkpoint',
  killed: 'kill',
  failed: 'fail',
}

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

export function presentLifecycleDelivery(event: LifecycleEvent): LifecycleDeliveryBody {
  const body = presentLifecycleEvent(event)
  return {
    version: body.version,
    id: body.id,
    type: body.type,
    timestamp: body.timestamp,
    event_category: 'lifecycle',
    event_label: labels[event.type],
    event_data: body.eventData,
    sandbox_id: body.sandboxId,
    sandbox_execution_id: body.sandboxExecutionId,
    sandbox_template_id: body.sandboxTemplateId,
    sandbox_build_id: body.sandboxBuildId,
    sandbox_team_id: body.sandboxTeamId,
  }
}
