import type { ServiceImpl } from '@connectrpc/connect'
import { ServerError } from '../../domain/error.ts'
import { listDir } from '../../guest/list-dir.ts'
import { makeDir } from '../../guest/make-dir.ts'
import { move } from '../../guest/move.ts'
import { remove } from '../../guest/remove.ts'
import { stat } from '../../guest/stat.ts'
import type {
  Filesystem,
  ListDirRequest,
  MakeDirRequest,
  MoveRequest,
  RemoveRequest,
  StatRequest,
} from '../../wire/gen/envd/filesystem/filesystem_pb.ts'
import { type RpcCall, rpcCallOf, unary } from '../rpc/rpc-call.ts'
import { toEntryInfo } from './entry-info.ts'

/** filesystem.Filesystem (e2b-wire 3.3). */
export const filesystemService: ServiceImpl<typeof Filesystem> = {
  stat: unary(async ({ path }: StatRequest, { target, user, signal }: RpcCall) => {
    return { entry: toEntryInfo(await stat(target.guest, { path, ...user }, signal)) }
  }),
  makeDir: unary(async ({ path }: MakeDirRequest, { target, user, signal }: RpcCall) => {
    return { entry: toEntryInfo(await makeDir(target.guest, { path, ...user }, signal)) }
  }),
  move: unary(async ({ source, destination }: MoveRequest, { target, user, signal }: RpcCall) => {
    return { entry: toEntryInfo(await move(target.guest, { source, destination, ...user }, signal)) }
  }),
  listDir: unary(async ({ path, depth }: ListDirRequest, { target, user, signal }: RpcCall) => {
    const entries = await listDir(target.guest, { path, depth: Math.max(depth, 1), ...user }, signal)
    return { entries: entries.map(toEntryInfo) }
  }),
  remove: unary(async ({ path }: RemoveRequest, { target, user, signal }: RpcCall) => {
    await remove(target.guest, { path, ...user }, signal)
    return {}
  }),
  // biome-ignore lint/correctness/useYield: the stream fails before its first event
  async *watchDir(_, context) {
    throw rpcCallOf(context).toConnectError(watchingUnavailable())
  },
  createWatcher: unary(refuseWatching),
  getWatcherEvents: unary(refuseWatching),
  removeWatcher: unary(refuseWatching),
}

async function refuseWatching(): Promise<never> {
  throw watchingUnavailable()
}

function watchingUnavailable(): ServerError {
  return new ServerError(
    'unimplemented',
    'This server cannot watch directories yet. List the directory instead.',
  )
}
