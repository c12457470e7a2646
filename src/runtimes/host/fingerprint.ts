import { statfsSync } from 'node:fs'
import { availableParallelism, release, totalmem } from 'node:os'
import { toError } from '../../domain/error.ts'
import type { Fingerprint } from '../../domain/runtime.ts'
import { areAllOnLoopback } from '../../network/resolvers.ts'
import type { HostClient, HostHello } from './host-client.ts'
import type { HostKind } from './runtime.ts'

/** Without these there is no sandbox. */
const required = ['cgroup', 'network', 'seccomp'] as const
const noDiskLimit = "The size of a sandbox's disk isn't limited on this machine."
/** What a machine's disk has at least where nobody has said that sandboxes are to have their own, in GiB: a few of their usual size */
const roomyGib = 40
const noViews = 'Sandboxes see memory, CPUs, load and boot id of the machine.'

const noNames =
  'The name servers of this machine listen on its loopback alone, where sandboxes do not reach them: names are not resolved inside.'

export type DiskLimit = boolean | 'auto'

/** Never throws. `disk`: a directory on the disk that sandboxes are kept on, which is there once the helper is. */
export async function fingerprintHost(
  kind: Pick<HostKind, 'name' | 'needs' | 'detail' | 'isolation'>,
  { client, disk, limitDisk }: { client: HostClient; disk: string; limitDisk: DiskLimit },
  signal: AbortSignal,
): Promise<Fingerprint> {
  const machine = {
    versions: { kernel: release() },
    cpuCount: availableParallelism(),
    memoryMb: Math.floor(totalmem() / 2 ** 20),
  }
  const unusable = (detail: string): Fingerprint => ({ ...machine, usable: false, detail })
  if (process.platform !== 'linux') return unusable(`The ${kind.name} runtime needs Linux. Use Docker.`)
  let hello: HostHello
  try {
    hello = await client.hello(signal)
  } catch (error) {
    const { message, cause } = toError(error)
    return unusable(cause instanceof Error ? `${message} ${cause.message}` : message)
  }
  const { version, features } = hello
  const missing = [...required, ...kind.needs].filter((name) => !features[name]?.has)
  if (missing.length > 0) {
    const reasons = missing.map((name) => features[name]?.why ?? `This machine lacks ${name}.`)
    return unusable(reasons.join(' '))
  }
  const views = features.views?.has === true ? undefined : (features.views?.why ?? noViews)
  const seen = views ?? ((await areAllOnLoopback()) ? noNames : undefined)
  const cgroups = Number(features.cgroup?.has)
  const sharedDisk = whySharedDisk(features, disk, limitDisk)
  return {
    ...machine,
    versions: { helper: version, ...machine.versions, cgroups: `v${cgroups}` },
    usable: true,
    ...(seen !== undefined && { lacks: seen }),
    ...(sharedDisk !== undefined && { sharedDisk }),
    detail: kind.detail,
    isolation: {
      ...kind.isolation,
      seccomp: true,
      'cgroups v2': cgroups === 2,
      'user namespaces': features.userNamespace?.has === true,
      mounts: features.mounts?.has === true,
      'CPU sets': features.cpuSets?.has === true,
      'disk limits': sharedDisk === undefined,
    },
  }
}

/** Undefined: each sandbox has a disk of its own. */
function whySharedDisk(
  { diskLimit }: HostHello['features'],
  disk: string,
  limitDisk: DiskLimit,
): string | undefined {
  if (limitDisk === false) return 'Disks of sandboxes are not to be limited (--no-limit-disk).'
  if (diskLimit?.has !== true) return diskLimit?.why ?? noDiskLimit
  if (limitDisk === true) return undefined
  // Where a few full ones fill it, sandboxes would lose what they have written.
  const gib = sizeOf(disk)
  if (gib !== undefined && gib >= roomyGib) return undefined
  const size = gib === undefined ? "a size that isn't known" : `${gib.toFixed(0)} GiB, less than ${roomyGib}`
  return `The disk of ${disk} has ${size}: sandboxes share it unless --limit-disk says otherwise.`
}

/** In GiB; undefined where the kernel doesn't say. */
function sizeOf(directory: string): number | undefined {
  try {
    const { blocks, bsize } = statfsSync(directory)
    return (blocks * bsize) / 2 ** 30
  } catch {
    return undefined
  }
}
