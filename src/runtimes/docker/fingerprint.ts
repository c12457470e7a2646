import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { ServerError, toError } from '../../domain/error.ts'
import type { Fingerprint } from '../../domain/runtime.ts'
import type { Engine } from './engine.ts'
import type { TransportName } from './handle.ts'
import type { RunMounts } from './run-mounts.ts'

/** What of `docker info` matters here. Absent where the engine doesn't say. */
export interface EngineInfo {
  /** Tells engines apart by their own ids and their data's place: several on one machine may share an id */
  id: string
  operatingSystem: string
  osType: string
  securityOptions: string[]
  versions: Record<string, string>
  cpuCount: number
  memoryMb: number
  /** Whether containers may be held to some CPUs */
  hasCpuSets: boolean
  /** Where it keeps images and containers */
  dataDir: string
}

/** Asks the engine what it is and runs on. Errors as `Engine.call`. */
export function engineInfo(engine: Engine, signal: AbortSignal): Promise<EngineInfo> {
  return engine.call(signal, async (docker, both) => {
    const options = { abortSignal: both }
    const [info, version] = await Promise.all([docker.info(options), docker.version(options)])
    const text = (name: string) => (typeof info[name] === 'string' ? (info[name] as string) : '')
    const number = (name: string) => (typeof info[name] === 'number' ? (info[name] as number) : 0)
    const runc = version.Components?.find(({ Name }) => Name === 'runc')?.Version
    return {
      id: `${text('ID')} ${text('DockerRootDir')}`,
      operatingSystem: text('OperatingSystem'),
      osType: text('OSType'),
      securityOptions: Array.isArray(info.SecurityOptions) ? info.SecurityOptions.map(String) : [],
      versions: {
        engine: text('ServerVersion'),
        kernel: text('KernelVersion'),
        cgroups: `v${text('CgroupVersion') || '1'} (${text('CgroupDriver')})`,
        storage: text('Driver'),
        ...(runc !== undefined && { runc }),
      },
      cpuCount: number('NCPU'),
      memoryMb: Math.floor(number('MemTotal') / 2 ** 20),
      hasCpuSets: info.CPUSet === true,
      dataDir: text('DockerRootDir'),
    }
  })
}

/**
 * How agents are reached on this engine, unless the caller has decided. Unix sockets need an engine on this very
 * kernel, and a container's root that is our own user: that of an engine we run as root beside, or of a rootless one.
 */
export function chooseTransport(info: EngineInfo, host: { platform: string; uid: number }): TransportName {
  const sameUser = host.uid === 0 || isRootless(info)
  return isOwnKernel(info, host.platform) && sameUser ? 'unix' : 'tcp'
}

/** Whether containers run on this very kernel, and not in a virtual machine. */
export function isOwnKernel(info: EngineInfo, platform: string): boolean {
  return platform === 'linux' && info.operatingSystem !== 'Docker Desktop'
}

export function isRootless(info: EngineInfo): boolean {
  return hasSecurityOption(info, 'rootless')
}

/** Never throws. */
export async function fingerprintDocker(
  engine: Engine,
  mounts: RunMounts,
  guestBinary: string,
  signal: AbortSignal,
): Promise<Fingerprint> {
  const unusable = (detail: string, info?: EngineInfo): Fingerprint => ({
    usable: false,
    detail,
    versions: info?.versions ?? {},
    cpuCount: info?.cpuCount ?? 0,
    memoryMb: info?.memoryMb ?? 0,
  })
  try {
    const api = await engine.apiVersion(signal)
    const info = await engineInfo(engine, signal)
    if (info.osType !== 'linux')
      return unusable('The Docker engine runs Windows containers. Switch it to Linux.', info)
    if (hasSecurityOption(info, 'userns')) {
      return unusable(
        'The Docker engine remaps users (userns-remap), which is not supported. Turn that off.',
        info,
      )
    }
    await access(guestBinary, constants.R_OK | constants.X_OK)
    const { versions, cpuCount, memoryMb, dataDir } = info
    return {
      usable: true,
      detail: 'Docker is usable.',
      versions: { engine: versions.engine ?? '', api, ...versions },
      cpuCount,
      memoryMb,
      isolation: {
        seccomp: hasSecurityOption(info, 'seccomp'),
        AppArmor: hasSecurityOption(info, 'apparmor'),
        'cgroups v2': versions.cgroups?.startsWith('v2') === true,
        'user namespaces': isRootless(info),
        'run directories off the disk': await mounts.canMount(signal),
      },
      ...(dataDir !== '' && { dataDir }),
    }
  } catch (error) {
    return unusable(remedy(error, engine.socketPath, guestBinary))
  }
}

/** Whether the engine names an option such as `seccomp` in `docker info`. */
export function hasSecurityOption(info: EngineInfo, name: string): boolean {
  return info.securityOptions.some((option) => option.split(',').includes(`name=${name}`))
}

function remedy(error: unknown, socketPath: string, guestBinary: string): string {
  const { code, path } = error as NodeJS.ErrnoException
  if (path === guestBinary)
    return 'The guest agent is missing or not executable. Build it with scripts/setup.'
  const cause = error instanceof ServerError ? (error.errno ?? '') : (code ?? '')
  if (cause === 'EACCES') {
    return `This user may not use the Docker engine at ${socketPath}. Add it to the group docker, or run as root.`
  }
  if (cause === 'ENOENT') return `There is no Docker engine at ${socketPath}. Install and start Docker.`
  if (cause === 'ECONNREFUSED') return `No Docker engine listens at ${socketPath}. Start it.`
  return toError(error).message
}
