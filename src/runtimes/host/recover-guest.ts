import { toError } from '../../domain/error.ts'
import type { GuestCondition } from '../../domain/runtime.ts'
import { isDeserted } from '../../lib/is-deserted.ts'
import type { Log } from '../../lib/log.ts'
import type { Agents } from './agents.ts'
import { findGuest } from './find-guest.ts'
import type { HostClient } from './host-client.ts'

/** What a guest from before a restart is found as. Errors as `HostClient.call`. */
export async function recoverGuest(
  { client, agents, log }: { client: HostClient; agents: Agents; log: Log },
  sandboxId: string,
  signal: AbortSignal,
): Promise<GuestCondition> {
  const found = await findGuest(client, sandboxId, signal)
  if (found === undefined) return 'gone'
  if (found.state === 'frozen') return 'paused'
  if (found.state !== 'running') return found.state
  try {
    const stream = await agents.connect(sandboxId, signal)
    stream.destroy()
    return 'running'
  } catch (error) {
    signal.throwIfAborted()
    log.warn({ err: error, sandboxId }, 'a guest runs, but its agent does not answer')
    return isDeserted(toError(error)) ? 'cut-off' : 'unreachable'
  }
}
