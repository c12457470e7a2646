import { isSecret } from '../auth/secret.ts'
import { ServerError } from '../domain/error.ts'
import type { WakeRequest } from '../domain/live-sandbox.ts'
import type { Sandbox } from '../domain/sandbox.ts'
import { isSandboxId } from '../domain/sandbox-id.ts'
import type { ControlContext } from './context.ts'
import { resume } from './resume-sandbox.ts'

/** The port of envd, which has a token of its own. */
const envdPort = 49_983
/** The least lifetime that a sandbox has after traffic has woken it, in seconds (e2b-behaviour 1.6). */
const lifetimeMinS = 300

/** Whether the sandbox takes traffic now. Errors: those of `WakeSandbox`. */
export type Wake = (id: string, request: WakeRequest, signal: AbortSignal) => Promise<boolean>

/**
 * How traffic wakes paused sandboxes: those that were made to be woken, and whose memory is kept. A pause of files
 * alone is never woken (e2b-wire 2.1), and neither is a sandbox by a request that its ports would refuse.
 */
export function createWakeSandbox(ctx: ControlContext, takesTraffic: (id: string) => boolean): Wake {
  return async (id, request, signal) => {
    if (!isSandboxId(id)) return false
    const asked = await ctx.store.sandboxes.find(id)
    if (asked === undefined || !mayWake(asked)) return takesTraffic(id)
    checkTokens(asked, request)
    const since = performance.now()
    return ctx.lifecycle.exclusive(
      id,
      async (row, ended) => {
        const isLive = takesTraffic(id)
        if (isLive || row === undefined || !mayWake(row)) return isLive
        if (row.state === 'paused') {
          const timeoutS = Math.max(lifetimeMinS, row.timeoutS)
          await resume(ctx, row, { timeoutS, memory: true, reason: 'traffic', signal, ended, since })
        }
        return takesTraffic(id)
      },
      signal,
    )
  }
}

/** Also one that is on its way: whoever waits in its queue finds it as it is then. */
function mayWake({ state, autoResume, pausedWithMemory }: Sandbox): boolean {
  if (!autoResume) return false
  return state === 'pausing' || state === 'resuming' || (state === 'paused' && pausedWithMemory === true)
}

function checkTokens(sandbox: Sandbox, { port, accessToken, trafficAccessToken }: WakeRequest): void {
  const [expected, given] =
    port === envdPort
      ? [sandbox.envdAccessToken, accessToken]
      : [sandbox.trafficAccessToken, trafficAccessToken]
  if (expected === null || (given !== undefined && isSecret(given, expected))) return
  throw new ServerError('forbidden', 'The sandbox is paused, and only requests with its token wake it.')
}
