/** Helpers of their own, and stores of what they have. */
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { sleep } from '../lib/deadline.ts'
import { newId } from '../lib/ids.ts'
import { silentLog } from '../lib/log.ts'
import { createHostClient } from '../runtimes/host/host-client.ts'
import { createLayerHost } from '../runtimes/host/layer-host.ts'
import { createImageStore, type ImageStoreOptions } from './store.ts'

/** Longest time for a helper to end, in milliseconds */
const endMs = 30_000
const build = join(import.meta.dirname, '../../build')

/** A server's helper below `folder`, and stores of its images as a restarted server makes them. Servers of one folder share. */
export function imageServer(folder: string, provided?: ImageStoreOptions['provided']) {
  const home = join(folder, newId())
  mkdirSync(home)
  const root = join(home, 'root')
  const shared = join(folder, 'shared')
  const client = createHostClient({
    root,
    program: {
      file: join(build, 'e2b-host'),
      agent: join(build, 'e2b-guest'),
      instance: newId().slice(0, 12),
      logFile: join(home, 'host.log'),
      shared,
    },
    path: process.env.PATH ?? '',
    network: async () => ({
      open: true,
      allow: [],
      resolvers: [],
      bounds: { connections: 64, connectionsPerSecond: 64, packetsPerSecond: 64 },
    }),
    log: silentLog,
  })
  const layers = createLayerHost(root, client)
  return {
    root,
    layers,
    /** Resolves when nothing of the helper is left but files. */
    async close() {
      const { pid } = await client.hello(AbortSignal.timeout(endMs))
      await client.close()
      const late = AbortSignal.timeout(endMs)
      while (existsSync(`/proc/${pid}`)) await sleep(10, late)
    },
    store: (more: Pick<ImageStoreOptions, 'registries' | 'clock' | 'engine'> = {}) =>
      createImageStore({
        layers,
        folder: join(home, 'images'),
        shared: join(shared, 'images'),
        ...more,
        ...(provided !== undefined && { provided }),
        log: silentLog,
      }),
    /** Where a layer's file is */
    file: (layer: string, path: string) => join(root, 'layers', layer, 'diff', path),
  }
}
