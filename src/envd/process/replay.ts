/**
 * Beyond E2B: a client that has lost its stream gets what it missed. `E2b-Replay: true` on `Connect` sends all that is
 * kept of a process's output before what comes from then on; `E2b-Replay: <offset>` sends it from there. Offsets count
 * the bytes of stdout, stderr and pty together from the process's start, so that a client's next offset is how much it
 * has received. The response's `E2b-Replay-From` says where the output begins: later than asked for where older output
 * is no longer kept.
 */
import { ServerError } from '../../domain/error.ts'
import type { Replay } from '../../guest/attach.ts'
import type { ProcessStream } from '../../guest/process-stream.ts'

export const replayFromHeader = 'e2b-replay-from'

/** The `E2b-Replay` header. Errors: `invalid_argument`. */
export function parseReplay(header: string | string[] | undefined): Replay {
  if (header === undefined || header === 'false') return { replay: false }
  if (header === 'true') return { replay: true }
  if (typeof header === 'string' && /^\d{1,15}$/.test(header)) return { replay: true, since: Number(header) }
  throw new ServerError('invalid_argument', 'E2b-Replay must be true, false or a number of bytes.')
}

/** Where a replayed output begins. Errors: `unimplemented` where the agent can't replay. */
export function replayFromOf({ replayFrom }: ProcessStream): number {
  if (replayFrom !== undefined) return replayFrom
  throw new ServerError(
    'unimplemented',
    'The agent of this sandbox is too old to keep output. Create a new sandbox, or connect without E2b-Replay.',
  )
}
