import { randomBytes } from 'node:crypto'
import type { Sandbox } from 'e2b'
import { type BenchContext, besides, type FigureName, type Measure, recordTimes } from '../context.ts'
import type { Engine } from '../engine.ts'
import { type Sampled, timed } from '../statistics.ts'

/** What is changed in the files before they are copied, in bytes. */
const changedBytes = 10 * 2 ** 20

/** Pausing and resuming, with and without memory. */
export const measurePauses: Measure = async (context) => {
  const sandbox = await context.sandboxes.create()
  await sandbox.commands.run('sleep 10000', { background: true, timeoutMs: 0 })
  const container = await context.engine?.run()
  for (const [keepMemory, ids, words] of [
    [true, ['pause.memory', 'resume.memory'], ['pause with memory', 'resume with memory']],
    [false, ['pause.files', 'resume.files'], ['pause without memory', 'resume from files']],
  ] as const) {
    const verbs = keepMemory ? (['pause', 'unpause'] as const) : (['kill', 'start'] as const)
    const ours = await alternate(
      context,
      () => sandbox.pause({ keepMemory }),
      () => sandbox.connect(),
    )
    const theirs =
      context.engine &&
      container &&
      (await alternate(
        context,
        () => context.engine!.docker(verbs[0], container),
        () => context.engine!.docker(verbs[1], container),
      ))
    for (const i of [0, 1] as const) {
      const name = { id: ids[i], what: words[i], than: `docker ${verbs[i]}` }
      recordTimes(context, name, [ours[i], theirs ? theirs[i] : undefined])
    }
  }
  await context.sandboxes.kill(sandbox)
  if (container !== undefined) await context.engine?.remove([container])
}

/** Copies: of a sandbox's files as a snapshot, as a fork, and what a create from one takes. */
export const measureCopies: Measure = async (context) => {
  const { sandboxes, engine, plan } = context
  const sandbox = await sandboxes.create()
  await sandbox.files.write('/home/user/changed', new Blob([randomBytes(changedBytes)]))
  const container = await engine?.run()
  if (container !== undefined) {
    const fill = `head -c ${changedBytes} /dev/urandom > /root/changed`
    await engine?.docker('exec', container, 'sh', '-c', fill)
  }
  const commit = (one: Engine) => one.commit(container!)
  const copies: string[] = []
  const options = { count: plan.largeRuns }
  const snapshot: FigureName = {
    ...{ id: 'snapshot', what: 'snapshot of 10 MB of changes', than: 'docker commit' },
  }
  const snapshots = await besides(
    context,
    options,
    async () => copies.push(await sandboxes.snapshot(sandbox)),
    commit,
  )
  recordTimes(context, snapshot, snapshots)
  const forks: Sandbox[] = []
  const forked = await besides(
    context,
    options,
    async () => forks.push(await sandboxes.fork(sandbox)),
    commit,
  )
  recordTimes(context, { id: 'fork', what: 'fork of files, 10 MB of changes', than: 'docker commit' }, forked)
  await createFrom(context, copies)
  await sandboxes.close()
  if (container !== undefined) await engine?.remove([container])
}

async function createFrom(context: BenchContext, copies: string[]): Promise<void> {
  const times = await besides(
    context,
    { count: copies.length },
    (i) => context.sandboxes.create(copies[i]),
    (engine) => engine.run(),
  )
  recordTimes(
    context,
    { id: 'create.snapshot', what: 'create from a snapshot', than: 'docker run -d' },
    times,
  )
}

/** Two tasks by turns; the times of each. */
async function alternate(
  { plan, signal }: BenchContext,
  one: () => Promise<unknown>,
  other: () => Promise<unknown>,
): Promise<[Sampled, Sampled]> {
  const times: [number[], number[]] = [[], []]
  for (let i = 0; i < plan.runs; i++) {
    signal.throwIfAborted()
    times[0].push(await timed(one))
    times[1].push(await timed(other))
  }
  return [
    { durations: times[0], wallMs: 0, failures: [] },
    { durations: times[1], wallMs: 0, failures: [] },
  ]
}
