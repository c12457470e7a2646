import type { Sandbox, SandboxFilter } from '../domain/sandbox.ts'
import type { ControlContext } from './context.ts'

export interface ListRequest extends Pick<SandboxFilter, 'metadata' | 'startedAfter' | 'order' | 'after'> {
  teamId: string
  /** Whether running ones are asked for; without them the answer is empty, as nothing else is listable */
  running: boolean
  /** Id or alias */
  template?: string
  /** Page size, 1 … 100 */
  limit: number
}

export interface SandboxPage {
  sandboxes: Sandbox[]
  /** Whether there are more behind the last one */
  more: boolean
  /** Running sandboxes of the team, whatever the filter */
  runningCount: number
}

/** One page of a team's sandboxes, newest first unless asked otherwise. */
export async function listSandboxes(ctx: ControlContext, request: ListRequest): Promise<SandboxPage> {
  const { teamId, running, template, limit, ...filter } = request
  const runningCount = await ctx.store.sandboxes.count({ teamId, states: ['running'] })
  const empty = { sandboxes: [], more: false, runningCount }
  if (!running) return empty

  const wanted: SandboxFilter = { ...filter, teamId, states: ['running'], limit: limit + 1 }
  if (template !== undefined) {
    const found = await ctx.store.templates.resolve(template, teamId)
    if (found === undefined) return empty
    wanted.templateId = found.id
  }
  const sandboxes = await ctx.store.sandboxes.list(wanted)
  return { sandboxes: sandboxes.slice(0, limit), more: sandboxes.length > limit, runningCount }
}
