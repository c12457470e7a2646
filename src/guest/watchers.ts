/** Watchers that live in the agent and gather events until they are asked for them. */
import { openCall } from './call.ts'
import { callUnary, unexpectedFrame } from './exchange.ts'
import { frameType, longReplyMaxBytes } from './frames.ts'
import type { Guest } from './guest.ts'
import { treeTimeoutMs } from './path-request.ts'
import { readWatchEvents, type WatchEvent, type WatchRequest } from './watch-event.ts'

/** Makes a watcher and answers with its id. Errors: those of `guest/watch.ts`. */
export function createWatcher(guest: Guest, request: WatchRequest, signal: AbortSignal): Promise<string> {
  const options = { signal, replyTimeoutMs: treeTimeoutMs }
  return callUnary(guest, { ...request, op: 'create-watcher' }, options, (reply) => reply.string('watcherId'))
}

/**
 * What has happened since the last call: one batch, whose events are read as they are iterated over. Errors: `not_found`
 * (no such watcher), `resource_exhausted` (events were lost; said once), `unavailable`, `canceled`.
 */
export async function* watcherEvents(
  guest: Guest,
  watcherId: string,
  signal: AbortSignal,
): AsyncGenerator<Iterable<WatchEvent>, void> {
  const options = { signal, replyMaxBytes: longReplyMaxBytes }
  const call = await openCall(guest, { watcherId, op: 'watcher-events' }, options)
  try {
    const frame = await call.next()
    if (frame.type !== frameType.reply) throw unexpectedFrame(frame)
    yield readWatchEvents(frame.payload)
  } finally {
    call.close()
  }
}

/** Errors: `not_found`, `unavailable`, `canceled`. */
export function removeWatcher(guest: Guest, watcherId: string, signal: AbortSignal): Promise<void> {
  return callUnary(guest, { watcherId, op: 'remove-watcher' }, { signal }, () => undefined)
}
