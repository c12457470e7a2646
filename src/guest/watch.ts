import { frames, openStream, type Step, unexpectedFrame, type Values } from './exchange.ts'
import { type Frame, frameType } from './frames.ts'
import type { Guest } from './guest.ts'
import { treeTimeoutMs } from './path-request.ts'
import { readWatchEvents, type WatchEvent, type WatchRequest } from './watch-event.ts'

/**
 * Watches a directory until the consumer stops; every change after this resolves is told, or the values end with
 * `resource_exhausted`. Events are read as they are iterated over. Errors: `not_found`, `invalid_argument` (no directory, a network file system),
 * `resource_exhausted` (limits), `unauthenticated` (user), `unavailable`, `canceled`.
 */
export async function watch(
  guest: Guest,
  request: WatchRequest,
  signal: AbortSignal,
): Promise<Values<Iterable<WatchEvent>>> {
  const options = { signal, replyTimeoutMs: treeTimeoutMs }
  const { call } = await openStream(guest, { ...request, op: 'watch' }, options, () => undefined)
  return frames(call, toEvents)
}

function toEvents(frame: Frame): Step<Iterable<WatchEvent>> {
  if (frame.type !== frameType.item) throw unexpectedFrame(frame)
  return { value: readWatchEvents(frame.payload) }
}
