import { ServerError } from '../domain/error.ts'
import type { Sandbox } from '../domain/sandbox.ts'
import { publicState } from '../domain/sandbox-state.ts'
import type { ControlContext } from './context.ts'

/** Whose sandbox is meant. Another team's answers as if it didn't exist. */
export interface SandboxRef {
  teamId: string
  id: string
}

/** The error for a sandbox that isn't there, or isn't the asker's (text: e2b-behaviour 1.4). */
export function sandboxNotFound(id: string): ServerError {
  return new ServerError('not_found', `Sandbox "${id}" doesn't exist or you don't have access to it`)
}

/** The row if it is the team's. Errors: `not_found`. */
export function requireOwned(sandbox: Sandbox | undefined, ref: SandboxRef): Sandbox {
  if (sandbox === undefined || sandbox.teamId !== ref.teamId) throw sandboxNotFound(ref.id)
  return sandbox
}

/** The row if it is the team's and its clients may see it: running or paused. Errors: `not_found`. */
export function requireVisible(sandbox: Sandbox | undefined, ref: SandboxRef): Sandbox {
  const owned = requireOwned(sandbox, ref)
  if (publicState(owned.state) === undefined) throw sandboxNotFound(ref.id)
  return owned
}

/** The row if it is the team's and running. Errors: `not_found`. */
export function requireRunning(sandbox: Sandbox | undefined, ref: SandboxRef): Sandbox {
  const owned = requireOwned(sandbox, ref)
  if (publicState(owned.state) !== 'running') throw sandboxNotFound(ref.id)
  return owned
}

/** Errors: `not_found`. */
export async function findSandbox(ctx: ControlContext, ref: SandboxRef): Promise<Sandbox> {
  return requireVisible(await ctx.store.sandboxes.find(ref.id), ref)
}
