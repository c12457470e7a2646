import { createStreamHandler } from '../rpc/stream-handler.ts'
import { createListHandler, createUnaryHandler, type MethodHandler } from '../rpc/unary-handler.ts'
import { listDir, makeDir, move, remove, stat } from './files.ts'
import { createWatcher, getWatcherEvents, removeWatcher, watchDir } from './watch.ts'

/** filesystem.Filesystem (e2b-wire 3.3). */
export const filesystemMethods: Record<string, MethodHandler> = {
  '/filesystem.Filesystem/Stat': createUnaryHandler(stat),
  '/filesystem.Filesystem/MakeDir': createUnaryHandler(makeDir),
  '/filesystem.Filesystem/Move': createUnaryHandler(move),
  '/filesystem.Filesystem/ListDir': createListHandler(listDir),
  '/filesystem.Filesystem/Remove': createUnaryHandler(remove),
  '/filesystem.Filesystem/WatchDir': createStreamHandler(watchDir),
  '/filesystem.Filesystem/CreateWatcher': createUnaryHandler(createWatcher),
  '/filesystem.Filesystem/GetWatcherEvents': createListHandler(getWatcherEvents),
  '/filesystem.Filesystem/RemoveWatcher': createUnaryHandler(removeWatcher),
}
