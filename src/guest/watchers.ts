/** Watchers that live in the agent and gather events until they are asked for them. */
import { callUnary } from './exchange.ts'
import type { Guest } from './guest.ts'
import { treeTimeoutMs } from './path-request.ts'
import { parseWatchEvents, type WatchEvent, type WatchRequest } from './watch-event.ts'

/** Makes a watcher and answers with its id. Errors: those of `guest/watch.ts`. */
export function createWatcher(guest: Guest, request: WatchRequest, signal: AbortSignal): Promise<string> {
  const options = { signal, replyTimeoutMs: treeTimeoutMs }
  return callUnary(guest, { ...request, op: 'create-watcher' }, options, (reply) => reply.string('watcherId'))
}

/**
 * What has happened since the last call. Errors: `not_found` (no such watcher), `resource_exhausted` (events were lost;
 * said once), `unavailable`, `canceled`.
 */
export function watcherEvents(guest: Guest, watcherId: string, signal: AbortSignal): Promise<WatchEvent[]> {
  return callUnary(guest, { watcherId, op: 'watcher-events' }, { signal }, parseWatchEvents)
}

/** Errors: `not_found`, `unavailable`, `canceled`. */
export function removeWatcher(guest: Guest, watcherId: string, signal: AbortSignal): Promise<void> {
  return callUnary(guest, { watcherId, op: 'remove-watcher' }, { signal }, () => undefined)
}
