import { createHash } from 'node:crypto'
import type { Runtime } from '../domain/runtime.ts'
import { newSandboxId } from '../lib/ids.ts'
import { patientSignal } from '../lib/patience.ts'
import type { Provision } from './build-context.ts'

/** How long ending the guest may take, in ms. */
const destroyMs = 60_000

export interface ProvisionedImage {
  image: string
  /** What sandboxes of it have, besides what the image says itself; undefined: it was made before */
  env: Record<string, string> | undefined
}

/**
 * An image made fit outside of any build, under a name that stands for the image and for what is done with it: made once.
 * `instanceId`: whose it is, as servers that share an engine remove their own. Errors: those of `Provision.run` and `Runtime`.
 */
export async function provisionImage(
  { runtime, provision, instanceId }: { runtime: Runtime; provision: Provision; instanceId: string },
  image: string,
  signal: AbortSignal,
): Promise<ProvisionedImage> {
  const found = await runtime.images.inspect(image, signal)
  const hash = createHash('sha256').update(`${instanceId} ${found?.id ?? image} ${provision.version}`)
  const target = `e2b-server/template:${hash.digest('hex').slice(0, 20)}`
  if ((await runtime.images.inspect(target, signal)) !== undefined) return { image: target, env: undefined }
  const sizes = { cpuCount: 1, memoryMb: 512, diskMb: 1024 }
  const spec = { ...sizes, sandboxId: newSandboxId(), image, hostname: 'e2b.local', egress: 'open' as const }
  const handle = await runtime.start(spec, signal)
  try {
    const env = await provision.run({ connect: (until) => runtime.connect(handle, until) }, { signal })
    await runtime.snapshot(handle, target, signal)
    return { image: target, env }
  } finally {
    await runtime.destroy(handle, patientSignal(destroyMs))
  }
}
