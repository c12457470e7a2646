import { ServerError } from '../domain/error.ts'
import type { Sandbox, SandboxFilter } from '../domain/sandbox.ts'
import { publicState, type SandboxState, sandboxStates } from '../domain/sandbox-state.ts'
import { readTemplateName } from '../domain/template-name.ts'
import type { ControlContext } from './context.ts'
import { findTemplate } from './resolve-template.ts'

export interface ListRequest extends Pick<SandboxFilter, 'metadata' | 'startedAfter' | 'order' | 'after'> {
  teamId: string
  /** Which of the two public states are asked for */
  states: readonly ('running' | 'paused')[]
  /** Id or alias of a template, id or name of a snapshot */
  template?: string
  /** Page size */
  limit: number
}

export interface SandboxPage {
  sandboxes: Sandbox[]
  /** Whether there are more behind the last one */
  more: boolean
  /** Running sandboxes on all pages; undefined where those aren't asked for */
  runningCount: number | undefined
}

/** What snapshots without a name are called by. */
const unnamedSnapshot = /^[a-z0-9]{20}:default$/

/** One page of a team's sandboxes, newest first unless asked otherwise. Errors: `invalid_argument` (a tag). */
export async function listSandboxes(ctx: ControlContext, request: ListRequest): Promise<SandboxPage> {
  const { teamId, states, template, limit, ...filter } = request
  const wanted: SandboxFilter = { ...filter, teamId, states: statesOf(states), limit: limit + 1 }
  const asksForRunning = states.includes('running')
  if (template !== undefined) {
    if (template.includes(':') && !unnamedSnapshot.test(template)) {
      throw new ServerError('invalid_argument', "'template' is an id or a name without a tag.")
    }
    const name = readTemplateName(template)
    const found = name && (await findTemplate(ctx, teamId, name))
    if (found === undefined)
      return { sandboxes: [], more: false, runningCount: asksForRunning ? 0 : undefined }
    wanted.templateId = found.id
  }
  const sandboxes = await ctx.store.sandboxes.list(wanted)
  const more = sandboxes.length > limit
  return { sandboxes: sandboxes.slice(0, limit), more, runningCount: await countRunning() }

  async function countRunning(): Promise<number | undefined> {
    if (!asksForRunning) return undefined
    const { after: _, limit: __, ...whole } = wanted
    return ctx.store.sandboxes.count({ ...whole, states: statesOf(['running']) })
  }
}

/** The states that clients see as one of these. */
function statesOf(wanted: ListRequest['states']): SandboxState[] {
  return sandboxStates.filter((state) => {
    const seen = publicState(state)
    return seen !== undefined && wanted.includes(seen)
  })
}
