import { putStockTemplate } from '../control/stock-template.ts'
import type { Runtime } from '../domain/runtime.ts'
import type { Store } from '../domain/store.ts'
import { ConfigError } from './config.ts'
import { baseImage } from './installation.ts'

/** Records the stock template `base`: public, with the sizes of the official one (2 vCPU, 512 MB). */
export async function putBaseTemplate(store: Store, runtime: Runtime): Promise<void> {
  const image = runtime.capabilities.isolation ? baseImage() : 'none'
  if (image === undefined)
    throw new ConfigError('The image of template "base" is not built. Run "npm start", which builds it.')
  const sizes = { cpuCount: 2, memoryMb: 512, diskMb: 10_240 }
  await putStockTemplate(store, { name: 'base', image, runtime: runtime.name, ...sizes }, Date.now())
}
