import type { Sandbox } from 'e2b'
import { sleep } from '../../lib/deadline.ts'
import { type BenchContext, type Measure, recordTimes } from '../context.ts'
import { type MemoryUse, memoryUse, type ProcessTree } from '../memory.ts'
import { measuredOnce } from '../results.ts'
import { type Sampled, sampleAll } from '../statistics.ts'

/** As many as are started, asked and killed at once. */
const parallel = 20
/** How long guests may take to be gone after the last kill was answered, in milliseconds */
const goneMs = 120_000
const looksEveryMs = 20

/** Before anything was asked of the server. */
export const measureServer: Measure = async (context) => {
  const use = await settled(context)
  if (use === undefined) return
  const what = 'memory of server, data workers and helper, idle'
  context.record({ id: 'memory.server', what, unit: 'MB', ours: measuredOnce(use.server / 2 ** 20) })
}

/** Many sandboxes that do nothing: how long they take to start, to answer a command each and to go, and their memory. */
export const measureIdle: Measure = async (context) => {
  const { sandboxes, plan, processes, signal } = context
  if (plan.idle === 0) return
  const options = { count: plan.idle, parallel, signal }
  const before = await settled(context)
  const othersBefore = processes?.others().length ?? 0
  const all: Sandbox[] = []
  const times = {
    start: await sampleAll(async () => all.push(await sandboxes.create()), options),
  } as Record<string, Sampled>
  const after = await settled(context)
  const answering = { ...options, count: all.length }
  times['first command'] = await sampleAll((i) => all[i]!.commands.run('true'), answering)
  const used = await settled(context)
  const begun = performance.now()
  times.kill = await sampleAll((i) => sandboxes.kill(all[i]!), answering)
  if (processes !== undefined) await untilGone(processes, othersBefore, signal)
  const goneS = (performance.now() - begun) / 1000

  for (const [step, sampled] of Object.entries(times)) {
    const name = {
      id: `idle.${step.replace(' ', '-')}`,
      what: `${plan.idle} idle sandboxes, ${step}`,
      than: '',
    }
    recordTimes(context, name, [sampled, undefined], true)
    recordSeconds(context, `${name.id}.all`, `${name.what}, all of them`, sampled.wallMs / 1000)
  }
  recordSeconds(context, 'idle.gone', `${plan.idle} idle sandboxes, until nothing of them runs`, goneS)
  if (before === undefined || after === undefined || used === undefined) return
  recordMemory(context, all.length, before, after, used)
}

function recordSeconds({ record }: BenchContext, id: string, what: string, seconds: number): void {
  record({ id, what, unit: 's', ours: measuredOnce(seconds) })
}

function recordMemory(
  { record }: BenchContext,
  count: number,
  before: MemoryUse,
  after: MemoryUse,
  used: MemoryUse,
): void {
  const each = (now: MemoryUse, ...parts: (keyof MemoryUse)[]) =>
    measuredOnce(parts.reduce((sum, part) => sum + now[part] - before[part], 0) / count / 1024, count)
  const kb = (id: string, what: string, ours: ReturnType<typeof each>) =>
    record({ id: `memory.${id}`, what, unit: 'KB', ours })
  const all = ['server', 'others', 'kernel', 'shared'] as const
  kb('each', 'memory of an idle sandbox, everything', each(after, ...all))
  kb('each.machine', 'the same, by what the machine has less of', each(after, 'machine'))
  kb('each.processes', 'of that its processes', each(after, 'others'))
  kb('each.kernel', 'of that the kernel', each(after, 'kernel'))
  kb('each.shared', 'of that files in memory', each(after, 'shared'))
  kb('each.server', 'of that server and helper', each(after, 'server'))
  kb('each.used', 'memory of a sandbox after a command, everything', each(used, ...all))
}

async function settled({ processes, plan, signal }: BenchContext): Promise<MemoryUse | undefined> {
  if (processes === undefined) return undefined
  await sleep(plan.settleMs, signal)
  return memoryUse(processes)
}

async function untilGone(processes: ProcessTree, count: number, signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + goneMs
  while (processes.others().length > count) {
    if (performance.now() > deadline) throw new Error('guests of killed sandboxes do not go')
    await sleep(looksEveryMs, signal)
  }
}
