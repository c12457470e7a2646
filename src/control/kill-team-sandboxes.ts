import { toError } from '../domain/error.ts'
import type { SandboxState } from '../domain/sandbox-state.ts'
import { forEachLimit } from '../lib/for-each-limit.ts'
import type { ControlContext } from './context.ts'
import { findTeam } from './find-team.ts'
import { killSandbox } from './kill-sandbox.ts'

/** How many are ended at a time. */
const atOnce = 8

const endedStates: readonly SandboxState[] = ['creating', 'running', 'snapshotting', 'resuming']

/**
 * Ends every sandbox of a team that runs or is on its way to; paused ones stay. What fails is counted and left to
 * reconciliation. Errors: `not_found` (team).
 */
export async function killTeamSandboxes(
  ctx: ControlContext,
  teamId: string,
  signal: AbortSignal,
): Promise<{ killed: number; failed: number }> {
  await findTeam(ctx, teamId)
  const rows = await ctx.store.sandboxes.list({ teamId, states: endedStates })
  let killed = 0
  let failed = 0
  await forEachLimit(rows, atOnce, async ({ id }) => {
    try {
      await killSandbox(ctx, { teamId, id }, signal, { reason: 'admin' })
      killed++
    } catch (error) {
      // One that has ended meanwhile needs no end.
      if (toError(error).code === 'not_found') return
      failed++
      ctx.log.warn({ sandboxId: id, err: error }, 'a sandbox of a team could not be ended for the operator')
    }
  })
  return { killed, failed }
}
