/** The runtimes without an engine with their images, and the image that their stock template starts from. */
import { createReadStream, existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Runtime } from '../domain/runtime.ts'
import { createEngineImages } from '../images/engine-images.ts'
import { createImageStore, type ImageStoreOptions } from '../images/store.ts'
import { newId } from '../lib/ids.ts'
import type { Log } from '../lib/log.ts'
import { enginePath } from '../runtimes/docker/socket-path.ts'
import { createGvisorRuntime } from '../runtimes/gvisor/runtime.ts'
import type { HostRuntimeOptions } from '../runtimes/host/runtime.ts'
import { createNativeRuntime } from '../runtimes/native/runtime.ts'
import type { Config } from './config.ts'
import { baseArchive, baseImage, hostBinary, runscBinary, usualHostRoot } from './installation.ts'

/** Most characters of a server's id in names of interfaces and control groups */
const instanceMaxLength = 16

/** What servers of this machine share: images that are kept, and their layers */
const sharedFolder = '/var/lib/e2b-server/images'

/** Of a runtime that only looks: a directory of its own, for what a server would have in its state directory. */
export interface Look {
  folder: string
}

interface NativeParts {
  guestBinary: string
  instanceId: string
  /** Then nothing that a server has is changed: a helper that others start is only asked, and any other is one of its own. */
  look: Look | undefined
  log: Log
}

/** Touches nothing until it is used. */
export function createNative(config: Config, parts: NativeParts): Runtime {
  return createNativeRuntime(optionsOf('native', config, parts))
}

/** The same with a helper and images of its own. */
export function createGvisor(config: Config, parts: NativeParts): Runtime {
  const options = optionsOf('gvisor', config, parts)
  const { program } = options
  return createGvisorRuntime({
    ...options,
    // Two helpers of one name would end each other's guests.
    ...(program && {
      program: { ...program, instance: `${program.instance.slice(0, -1)}g`, runsc: runscBinary() },
    }),
  })
}

/** `kind`: where what is the runtime's own is, in the state directory. */
function optionsOf(
  kind: 'native' | 'gvisor',
  config: Config,
  { guestBinary, instanceId, look, log }: NativeParts,
): HostRuntimeOptions {
  const { stateDir, hostRoot, path, openEgress, egressAllow, limitDisk, imagesFromEngine, dockerHost } =
    config
  const isRoot = process.getuid?.() === 0
  const startsHelper = isRoot && hostRoot === undefined
  const ownFolder = look?.folder ?? stateDir
  const program = {
    file: hostBinary(),
    agent: guestBinary,
    // Two helpers of one name would end each other's guests.
    instance: look === undefined ? instanceId.slice(0, instanceMaxLength) : `doctor${newId().slice(0, 8)}`,
    logFile: join(ownFolder, 'host.log'),
    shared: sharedFolder,
  }
  const records = kind === 'native' ? 'image-records' : `${kind}-image-records`
  return {
    root: hostRoot ?? (isRoot ? join(ownFolder, kind) : usualHostRoot),
    ...(startsHelper && { program }),
    isGuest: look !== undefined && !startsHelper,
    path,
    images: (layers) =>
      createImageStore({
        layers,
        folder: join(startsHelper ? ownFolder : stateDir, records),
        ...(startsHelper && { shared: join(sharedFolder, 'records') }),
        ...(look === undefined ? providedBy(config) : { isReadOnly: !startsHelper }),
        ...(imagesFromEngine && { engine: createEngineImages(enginePath(dockerHost)) }),
        registries: registriesOf(config),
        log,
      }),
    egress: { open: openEgress, allow: egressAllow },
    limitDisk,
    disk: hostRoot ?? stateDir,
    log,
  }
}

/** Whether there is something that the first start takes the image of template `base` in from. */
export async function isBaseProvided({ dockerHost }: Config, signal: AbortSignal): Promise<boolean> {
  const image = baseImage()
  if (image === undefined) return false
  if (existsSync(baseArchive(image))) return true
  return (await createEngineImages(enginePath(dockerHost)).find(image, signal)) !== undefined
}

/** Which registries are asked, by the server's flags. */
export function registriesOf({ offline, registryAllow, registryMirror }: Config) {
  return {
    offline,
    allow: registryAllow,
    ...(registryMirror !== undefined && { mirror: registryMirror }),
  }
}

/** The image that the setup has made: a file, or with the machine's Docker engine. */
function providedBy({ dockerHost }: Config): Pick<ImageStoreOptions, 'provided'> {
  const image = baseImage()
  if (image === undefined) return {}
  const open = async (signal: AbortSignal) => {
    const file = baseArchive(image)
    if (existsSync(file)) return { archive: createReadStream(file, { signal }) }
    const archive = await createEngineImages(enginePath(dockerHost)).open(image, signal)
    return archive && { archive }
  }
  return { provided: { image, open } }
}
