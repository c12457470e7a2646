/**
 * Which of the machine's CPUs a sandbox has, so that it sees as many as it was given: a quota alone leaves all of them
 * visible, and what asks for their number starts a thread or a compiler for each. New sandboxes get those that fewest
 * have. On a machine with no more CPUs than a sandbox has there is nothing to choose.
 */
import { readFile } from 'node:fs/promises'
import { cpusLabel, instanceLabel, sandboxLabel } from './container.ts'
import type { Engine } from './engine.ts'
import type { EngineHost } from './engine-host.ts'
import { isOwnKernel } from './fingerprint.ts'

/** Above any kernel's number of CPUs */
const cpusMax = 8192

export interface CpuSets {
  /** CPUs for a new guest, such as `0,5`, or '' for all. Errors as `Engine.call`. */
  take(sandboxId: string, cpuCount: number, signal: AbortSignal): Promise<string>
  /** Idempotent. */
  release(sandboxId: string): void
}

export function createCpuSets(options: {
  engine: Engine
  engineHost: EngineHost
  instanceId: string
}): CpuSets {
  const { engine, engineHost, instanceId } = options
  const taken = new Map<string, number[]>()
  let counted: Promise<void> | undefined

  const count = async (signal: AbortSignal) => {
    const filters = { label: [`${instanceLabel}=${instanceId}`] }
    const containers = await engine.call(signal, (docker, both) =>
      docker.listContainers({ all: true, filters, abortSignal: both }),
    )
    for (const { Labels: labels } of containers) {
      const sandboxId = labels[sandboxLabel]
      const cpus = parseCpus(labels[cpusLabel] ?? '')
      if (sandboxId !== undefined && cpus.length > 0 && !taken.has(sandboxId)) taken.set(sandboxId, cpus)
    }
  }
  const counting = (signal: AbortSignal) => {
    const started = counted ?? count(signal)
    counted = started
    started.catch(() => {
      if (counted === started) counted = undefined
    })
    return started
  }

  return {
    async take(sandboxId, cpuCount, signal) {
      const info = await engineHost.info(signal)
      const wanted = Math.ceil(cpuCount)
      if (!info.hasCpuSets || wanted >= info.cpuCount) return ''
      const online = isOwnKernel(info, process.platform) ? await onlineCpus() : firstCpus(info.cpuCount)
      // An engine that is held to some of them doesn't say which.
      if (online.length !== info.cpuCount) return ''
      await counting(signal)
      const cpus = leastTaken(online, wanted, [...taken.values()])
      taken.set(sandboxId, cpus)
      return cpus.join(',')
    },
    release(sandboxId) {
      taken.delete(sandboxId)
    },
  }
}

/** As many as are wanted of those that are taken least, in order. */
export function leastTaken(online: number[], wanted: number, taken: number[][]): number[] {
  const counts = new Map(online.map((cpu) => [cpu, 0]))
  for (const cpu of taken.flat()) counts.set(cpu, (counts.get(cpu) ?? 0) + 1)
  const by = (cpu: number) => counts.get(cpu) ?? 0
  return [...online]
    .sort((a, b) => by(a) - by(b) || a - b)
    .slice(0, wanted)
    .sort((a, b) => a - b)
}

/** CPUs of the kernel's notation: `0-2,5`. What isn't one is left out. */
export function parseCpus(text: string): number[] {
  return text
    .trim()
    .split(',')
    .flatMap((part) => {
      const found = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part)
      if (found === null) return []
      const first = Number(found[1])
      const last = Math.min(Number(found[2] ?? first), cpusMax)
      return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i)
    })
}

const firstCpus = (count: number) => Array.from({ length: count }, (_, cpu) => cpu)

async function onlineCpus(): Promise<number[]> {
  return parseCpus(await readFile('/sys/devices/system/cpu/online', 'utf8').catch(() => ''))
}
