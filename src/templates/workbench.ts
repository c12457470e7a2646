/**
 * Where a build stands: an image, and the guest that was made from it or that it was copied from. A guest goes on for as
 * long as it has added little to its image, as each copy of it holds everything since; then the next one is of the last
 * copy. So neither the chain of images gets long nor the copies large.
 */
import type { GuestHandle, GuestSpec, Runtime } from '../domain/runtime.ts'
import type { Layer } from '../domain/template-layer.ts'
import type { Guest } from '../guest/guest.ts'
import { newId, newSandboxId } from '../lib/ids.ts'
import type { Log } from '../lib/log.ts'
import { patientSignal } from '../lib/patience.ts'
import type { Hold } from './holds.ts'
import { imageSize } from './image-size.ts'

/** What a guest may add to its image before another takes over, in bytes. */
const addedMaxBytes = 64 * 2 ** 20
/** How long ending a guest may take, in ms. */
const destroyMs = 60_000

export interface Workbench {
  /** Name of the image that has what was done up to now */
  image(): string
  /** Goes on from another image. */
  moveTo(image: string): void
  /** A guest with what the image has. Errors: those of `Admission.enterBuild` and `Runtime.start`. */
  guest(signal: AbortSignal): Promise<Guest>
  /** Makes what the guest has an image, which is the build's from then on. Errors: those of `Runtime.snapshot`. */
  commit(signal: AbortSignal): Promise<Pick<Layer, 'image' | 'parent' | 'sizeBytes'>>
  /** Ends the guest. Idempotent, never rejects: what is left is for reconciliation. */
  close(): Promise<void>
}

export interface WorkbenchParts {
  runtime: Runtime
  hold: Hold
  /** What guests are to be */
  size: Pick<GuestSpec, 'cpuCount' | 'memoryMb' | 'diskMb'>
  /** Waits until one more guest may start; what resolves is called when it is up. */
  admit: (signal: AbortSignal) => Promise<() => void>
  log: Log
}

interface Running {
  handle: GuestHandle
  /** The image that it was made from, and the size of that in bytes */
  base: string
  baseBytes: number
}

export function createWorkbench({ runtime, hold, size, admit, log }: WorkbenchParts): Workbench {
  let current: string | undefined
  let running: Running | undefined
  /** Guests that are being ended */
  const ending = new Set<Promise<void>>()

  const imageNow = () => {
    if (current === undefined) throw new Error('a build has begun without an image')
    return current
  }

  const destroy = async (handle: GuestHandle) => {
    const { sandboxId } = handle
    await runtime
      .destroy(handle, patientSignal(destroyMs))
      .catch((error) => log.warn({ sandboxId, err: error }, "a build's guest is left to reconciliation"))
    hold.drop(sandboxId)
  }

  const retire = () => {
    if (running === undefined) return
    const { handle } = running
    running = undefined
    const ended: Promise<void> = destroy(handle).finally(() => ending.delete(ended))
    ending.add(ended)
  }

  const start = async (signal: AbortSignal): Promise<Running> => {
    const image = imageNow()
    const baseBytes = await imageSize(runtime.images, image, signal)
    const up = await admit(signal)
    const sandboxId = newSandboxId()
    hold.take(sandboxId)
    const { cpuCount, memoryMb, diskMb } = size
    const spec: GuestSpec = {
      cpuCount,
      memoryMb,
      diskMb,
      sandboxId,
      image,
      hostname: 'e2b.local',
      egress: 'open',
    }
    return { handle: await runtime.start(spec, signal).finally(up), base: image, baseBytes }
  }

  return {
    image: imageNow,
    moveTo(image) {
      if (image !== current) retire()
      current = image
    },
    async guest(signal) {
      running ??= await start(signal)
      const { handle } = running
      return { connect: (until) => runtime.connect(handle, until) }
    },
    async commit(signal) {
      if (running === undefined) throw new Error('a build has nothing to copy')
      const { handle, base, baseBytes } = running
      const image = `e2b-server/template:${newId()}`
      hold.take(image)
      await runtime.snapshot(handle, image, signal)
      const sizeBytes = Math.max(0, (await imageSize(runtime.images, image, signal)) - baseBytes)
      current = image
      if (sizeBytes > addedMaxBytes) retire()
      return { image, parent: base, sizeBytes }
    },
    async close() {
      retire()
      await Promise.all(ending)
    },
  }
}
