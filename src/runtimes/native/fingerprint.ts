import { availableParallelism, release, totalmem } from 'node:os'
import { toError } from '../../domain/error.ts'
import type { Fingerprint } from '../../domain/runtime.ts'
import { areAllOnLoopback } from '../../network/resolvers.ts'
import type { HostClient, HostHello } from './host-client.ts'

/** Without these there is no sandbox. */
const required = ['cgroup', 'network', 'seccomp'] as const
const noDiskLimit = "The size of a sandbox's disk isn't limited on this machine."
const noViews = 'Sandboxes see memory, CPUs, load and boot id of the machine.'

const noNames =
  'The name servers of this machine listen on its loopback alone, where sandboxes do not reach them: names are not resolved inside.'

/** Never throws. */
export async function fingerprintNative(
  client: HostClient,
  { limitDisk }: { limitDisk: boolean },
  signal: AbortSignal,
): Promise<Fingerprint> {
  const machine = {
    versions: { kernel: release() },
    cpuCount: availableParallelism(),
    memoryMb: Math.floor(totalmem() / 2 ** 20),
  }
  const unusable = (detail: string): Fingerprint => ({ ...machine, usable: false, detail })
  if (process.platform !== 'linux') return unusable('The native runtime needs Linux. Use Docker.')
  let hello: HostHello
  try {
    hello = await client.hello(signal)
  } catch (error) {
    const { message, cause } = toError(error)
    return unusable(cause instanceof Error ? `${message} ${cause.message}` : message)
  }
  const { version, features } = hello
  const missing = required.filter((name) => !features[name]?.has)
  if (missing.length > 0) {
    const reasons = missing.map((name) => features[name]?.why ?? `This machine lacks ${name}.`)
    return unusable(reasons.join(' '))
  }
  const views = features.views?.has === true ? undefined : (features.views?.why ?? noViews)
  const seen = views ?? ((await areAllOnLoopback()) ? noNames : undefined)
  const cgroups = Number(features.cgroup?.has)
  const lacks = [
    ...(seen === undefined ? [] : [seen]),
    ...(limitDisk && features.diskLimit?.has !== true ? [features.diskLimit?.why ?? noDiskLimit] : []),
  ]
  return {
    ...machine,
    versions: { helper: version, ...machine.versions, cgroups: `v${cgroups}` },
    usable: true,
    ...(lacks.length > 0 && { lacks: lacks.join(' ') }),
    detail: 'Sandboxes are made of name spaces of this kernel, without an engine.',
    isolation: {
      seccomp: true,
      'cgroups v2': cgroups === 2,
      'user namespaces': features.userNamespace?.has === true,
      'CPU sets': features.cpuSets?.has === true,
      'disk limits': limitDisk && features.diskLimit?.has === true,
    },
  }
}
