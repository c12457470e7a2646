import type { Sandbox } from 'e2b'
import { sleep } from '../../lib/deadline.ts'
import { type BenchContext, besides, type Measure, recordTimes } from '../context.ts'
import { sampleAll } from '../statistics.ts'

/** Creating and killing, and a first command in what was created, at each concurrency. */
export const measureCreate: Measure = async (context) => {
  await firstOnes(context)
  for (const parallel of context.plan.concurrency) {
    const { creates, runs } = context.plan
    const options = { count: parallel === 1 ? creates : Math.max(runs, parallel), parallel }
    const atOnce = parallel === 1 ? '' : `, ${parallel} at once`
    const sandboxes = await create(context, { id: `create.c${parallel}`, atOnce, options })
    await kill(context, { id: `kill.c${parallel}`, atOnce, parallel }, sandboxes)
    await firstCommand(context, { id: `first-command.c${parallel}`, atOnce, options })
  }
}

/**
 * The first of a server that has just started, whose code has yet to be compiled for speed, as the SDK's has here: apart from the
 * others, as an engine that has run for long is no measure of them.
 */
async function firstOnes(context: BenchContext): Promise<void> {
  const times = await besides(
    context,
    { count: context.plan.runs },
    async () => void (await context.sandboxes.create()),
    async (engine) => engine.remove([await engine.run()]),
  )
  await context.sandboxes.close()
  const what = `create, the first ${context.plan.runs} of a server`
  recordTimes(context, { id: 'create.first', what, than: '' }, [times[0], undefined])
}

/** What a create takes where a guest waits for it. */
export const measureWarm: Measure = async (context) => {
  const { sandboxes, untilWarm, plan, signal } = context
  if (untilWarm === undefined) return
  const passes = [
    ['create', async () => {}],
    ['first-command', async (sandbox: Sandbox) => void (await sandbox.commands.run('true'))],
  ] as const
  for (const [kind, use] of passes) {
    const durations: number[] = []
    const failures: string[] = []
    // One at a time, each when another guest waits: refilling isn't what is measured.
    for (let i = -plan.runs; i < plan.runs; i++) {
      await untilWarm()
      const { durations: own, failures: failed } = await sampleAll(
        async () => use(await sandboxes.create()),
        { count: 1, signal },
      )
      await sandboxes.close()
      if (i < 0) continue
      durations.push(...own)
      failures.push(...failed)
    }
    const what = kind === 'create' ? 'create, warm' : 'create and first command, warm'
    recordTimes(context, { id: `${kind}.warm`, what, than: '' }, [
      { durations, failures, wallMs: 0 },
      undefined,
    ])
  }
}

interface Pass {
  id: string
  /** The end of its name */
  atOnce: string
  options: { count: number; parallel: number }
}

async function create(
  context: BenchContext,
  { id, atOnce, options }: Pass,
): Promise<{ ours: Sandbox[]; theirs: string[] }> {
  const ours: Sandbox[] = []
  const theirs: string[] = []
  const times = await besides(
    context,
    options,
    async () => ours.push(await context.sandboxes.create()),
    async (engine) => theirs.push(await engine.run()),
  )
  recordTimes(context, { id, what: `create${atOnce}`, than: 'docker run -d' }, times, true)
  return { ours, theirs }
}

async function kill(
  context: BenchContext,
  { id, atOnce, parallel }: { id: string; atOnce: string; parallel: number },
  { ours, theirs }: { ours: Sandbox[]; theirs: string[] },
): Promise<void> {
  const { engine, plan, signal, sandboxes } = context
  const options = { parallel, signal }
  await sleep(plan.pauseMs, signal)
  const own = await sampleAll((i) => sandboxes.kill(ours[i]!), { ...options, count: ours.length })
  if (engine !== undefined) await sleep(plan.pauseMs, signal)
  const other =
    engine && (await sampleAll((i) => engine.remove([theirs[i]!]), { ...options, count: theirs.length }))
  recordTimes(context, { id, what: `kill${atOnce}`, than: 'docker rm -f' }, [own, other], true)
}

async function firstCommand(context: BenchContext, { id, atOnce, options }: Pass): Promise<void> {
  const theirs: string[] = []
  const times = await besides(
    context,
    options,
    async () => {
      const sandbox = await context.sandboxes.create()
      await sandbox.commands.run('true')
    },
    async (engine) => {
      const container = await engine.run()
      theirs.push(container)
      await engine.docker('exec', container, 'true')
    },
  )
  await context.sandboxes.close()
  await context.engine?.remove(theirs)
  const than = 'docker run -d and docker exec'
  recordTimes(context, { id, what: `create and first command${atOnce}`, than }, times, true)
}
