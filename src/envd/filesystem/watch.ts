/** The four RPCs that tell what changes in a directory (e2b-wire 3.3). */
import { create } from '@bufbuild/protobuf'
import { watch } from '../../guest/watch.ts'
import type { WatchEvent, WatchRequest } from '../../guest/watch-event.ts'
import * as watchers from '../../guest/watchers.ts'
import {
  type CreateWatcherRequest,
  EventType,
  type FilesystemEvent,
  FilesystemEventSchema,
  type GetWatcherEventsRequest,
  type RemoveWatcherRequest,
  type WatchDirRequest,
  WatchDirRequestSchema,
  WatchDirResponseSchema,
} from '../../wire/gen/envd/filesystem/filesystem_pb.ts'
import type { RpcCall } from '../rpc/rpc-call.ts'
import type { StreamMethod } from '../rpc/stream-handler.ts'
import { toEntryInfo } from './entry-info.ts'

/** Tells changes until the client leaves or its time limit ends the stream. */
export const watchDir: StreamMethod<typeof WatchDirRequestSchema, typeof WatchDirResponseSchema> = {
  input: WatchDirRequestSchema,
  output: WatchDirResponseSchema,
  keepalive: { event: { case: 'keepalive', value: {} } },
  async serve(call, request, response) {
    if (call.timeoutMs !== undefined) call.limit(call.timeoutMs)
    const changes = await watch(call.target.guest, toWatch(request, call), call.signal)
    response.send({ event: { case: 'start', value: {} } })
    for await (const events of changes) {
      response.send(
        ...events.map((event) => ({ event: { case: 'filesystem' as const, value: toMessage(event) } })),
      )
      await response.drained()
    }
  },
}

export async function createWatcher(request: CreateWatcherRequest, call: RpcCall) {
  return { watcherId: await watchers.createWatcher(call.target.guest, toWatch(request, call), call.signal) }
}

export async function getWatcherEvents({ watcherId }: GetWatcherEventsRequest, { target, signal }: RpcCall) {
  const events = await watchers.watcherEvents(target.guest, watcherId, signal)
  return { events: events.map(toMessage) }
}

export async function removeWatcher({ watcherId }: RemoveWatcherRequest, { target, signal }: RpcCall) {
  await watchers.removeWatcher(target.guest, watcherId, signal)
  return {}
}

function toWatch(request: WatchDirRequest | CreateWatcherRequest, { user }: RpcCall): WatchRequest {
  const { path, recursive, includeEntry, allowNetworkMounts } = request
  return { path, recursive, includeEntry, allowNetworkMounts, ...user }
}

const eventTypes: Record<WatchEvent['type'], EventType> = {
  create: EventType.CREATE,
  write: EventType.WRITE,
  remove: EventType.REMOVE,
  rename: EventType.RENAME,
  chmod: EventType.CHMOD,
}

function toMessage({ name, type, entry }: WatchEvent): FilesystemEvent {
  return create(FilesystemEventSchema, {
    name,
    type: eventTypes[type],
    ...(entry === undefined ? {} : { entry: toEntryInfo(entry) }),
  })
}
