import type { ServiceImpl } from '@connectrpc/connect'
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
import { type RpcCall, unary } from '../rpc/rpc-call.ts'
import { toEntryInfo } from './entry-info.ts'
import { createWatcher, getWatcherEvents, removeWatcher } from './watch.ts'

/** filesystem.Filesystem but for its stream, `watch.ts` (e2b-wire 3.3). */
export const filesystemService: Omit<ServiceImpl<typeof Filesystem>, 'watchDir'> = {
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
  createWatcher: unary(createWatcher),
  getWatcherEvents: unary(getWatcherEvents),
  removeWatcher: unary(removeWatcher),
}
