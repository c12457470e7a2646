/** The four RPCs that tell what changes in a directory (e2b-wire 3.3). */
import { create } from '@bufbuild/protobuf'
import { watch } from '../../guest/watch.ts'
import type { WatchEvent, WatchRequest } from '../../guest/watch-event.ts'
import * as watchers from '../../guest/watchers.ts'
import {
  type CreateWatcherRequest,
  CreateWatcherRequestSchema,
  CreateWatcherResponseSchema,
  EventType,
  type FilesystemEvent,
  FilesystemEventSchema,
  GetWatcherEventsRequestSchema,
  RemoveWatcherRequestSchema,
  RemoveWatcherResponseSchema,
  type WatchDirRequest,
  WatchDirRequestSchema,
  WatchDirResponseSchema,
} from '../../wire/gen/envd/filesystem/filesystem_pb.ts'
import { mapBatches } from '../rpc/map-batches.ts'
import type { RpcCall } from '../rpc/rpc-call.ts'
import type { StreamMethod } from '../rpc/stream-handler.ts'
import type { ListMethod, UnaryMethod } from '../rpc/unary-handler.ts'
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
      for (const piece of pieces(events, stepEvents)) {
        if (piece.length === stepEvents) await call.turn()
        response.send(
          ...piece.map((event) => ({ event: { case: 'filesystem' as const, value: toMessage(event) } })),
        )
        await response.drained()
      }
    }
  },
}

/** Most events that are sent in one turn of the event loop where more are there. */
const stepEvents = 100

/** The values in arrays of at most `length`. */
function* pieces<T>(values: Iterable<T>, length: number): Generator<T[], void> {
  let piece: T[] = []
  for (const value of values) {
    piece.push(value)
    if (piece.length < length) continue
    yield piece
    piece = []
  }
  if (piece.length > 0) yield piece
}

export const createWatcher: UnaryMethod<
  typeof CreateWatcherRequestSchema,
  typeof CreateWatcherResponseSchema
> = {
  input: CreateWatcherRequestSchema,
  output: CreateWatcherResponseSchema,
  async serve(call, request) {
    const watcherId = await watchers.createWatcher(call.target.guest, toWatch(request, call), call.signal)
    return { watcherId }
  },
}

export const getWatcherEvents: ListMethod<
  typeof GetWatcherEventsRequestSchema,
  typeof FilesystemEventSchema
> = {
  input: GetWatcherEventsRequestSchema,
  item: FilesystemEventSchema,
  field: { number: 1, name: 'events' },
  serve: ({ target, signal }, { watcherId }) =>
    mapBatches(watchers.watcherEvents(target.guest, watcherId, signal), toMessage),
}

export const removeWatcher: UnaryMethod<
  typeof RemoveWatcherRequestSchema,
  typeof RemoveWatcherResponseSchema
> = {
  input: RemoveWatcherRequestSchema,
  output: RemoveWatcherResponseSchema,
  async serve({ target, signal }, { watcherId }) {
    await watchers.removeWatcher(target.guest, watcherId, signal)
    return {}
  },
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
