import { join } from 'node:path'
import type { LayerHost } from '../../domain/layers.ts'
import { listOf, wholeOf } from './answers.ts'
import type { HostClient } from './host-client.ts'

/** What the helper, whose directory is `root`, does with layers. */
export function createLayerHost(root: string, { call }: Pick<HostClient, 'call'>): LayerHost {
  return {
    uploadPath: (upload) => join(root, 'spool', upload),
    async unpack(upload, layer, signal) {
      const answer = await call('unpack', { upload, layer, format: 'tar' }, signal)
      return { sizeBytes: wholeOf(answer, 'sizeBytes'), entries: wholeOf(answer, 'entries') }
    },
    async flatten(layers, layer, signal) {
      return { sizeBytes: wholeOf(await call('flatten', { layers, layer }, signal), 'sizeBytes') }
    },
    removeLayer: async (layer, signal) => void (await call('remove-layer', { layer }, signal)),
    layers: (signal) => listOf(call, { op: 'layers', name: 'layers' }, signal),
    share: async (layer, signal) => void (await call('share', { layer }, signal)),
    adopt: async (layer, signal) => void (await call('adopt', { layer }, signal)),
    removeShared: async (layer, signal) => void (await call('remove-shared', { layer }, signal)),
    sharedLayers: (signal) => listOf(call, { op: 'shared-layers', name: 'layers' }, signal),
  }
}
