/** What is done in a sandbox that is there: commands and files. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { baseline, besides, type Measure, recordTimes } from '../context.ts'
import { measuredRates } from '../results.ts'
import { sampleAll } from '../statistics.ts'

const megabyte = 2 ** 20
/** Runs of what takes a few milliseconds, for each run of what takes more */
const smallFactor = 5

/** Small commands in one sandbox, at each concurrency. */
export const measureCommands: Measure = async (context) => {
  const { sandboxes, engine, plan, signal } = context
  const sandbox = await sandboxes.create()
  const container = await engine?.run()
  const ours = () => sandbox.commands.run('true')
  const theirs = () => engine!.docker('exec', container!, 'bash', '-l', '-c', 'true')
  await ours()
  for (const parallel of plan.concurrency) {
    const count = Math.max(plan.runs, parallel)
    const own = await sampleAll(ours, { count: count * smallFactor, parallel, signal })
    const other = engine && (await sampleAll(theirs, { count, parallel, signal }))
    const what = `commands.run('true')${parallel === 1 ? '' : `, ${parallel} at once`}`
    const name = { id: `command.c${parallel}`, what, than: 'docker exec bash -l -c true' }
    recordTimes(context, name, [own, other], true)
  }
  await sandboxes.kill(sandbox)
  if (container !== undefined) await engine?.remove([container])
}

/** Files, small ones at each concurrency, and one that is large. */
export const measureFiles: Measure = async (context) => {
  const { sandboxes, engine, plan, signal } = context
  const sandbox = await sandboxes.create()
  const container = (await engine?.run()) ?? ''
  const folder = await mkdtemp(join(tmpdir(), 'e2b-bench-'))
  try {
    const small = 'x'.repeat(1024)
    await writeFile(join(folder, 'small'), small)
    const copyIn = (name: string) => engine!.docker('cp', join(folder, name), `${container}:/tmp/${name}`)
    const copyOut = (name: string) =>
      engine!.docker('cp', `${container}:/tmp/${name}`, join(folder, `${name}.out`))
    await sandbox.files.write('small', small)
    for (const parallel of plan.concurrency) {
      const count = Math.max(plan.runs, parallel)
      const atOnce = parallel === 1 ? '' : `, ${parallel} at once`
      for (const [kind, ours, theirs] of [
        ['write', (i: number) => sandbox.files.write(`small-${i}`, small), () => copyIn('small')],
        ['read', () => sandbox.files.read('small'), () => copyOut('small')],
      ] as const) {
        const own = await sampleAll(ours, { count: count * smallFactor, parallel, signal })
        const other = engine && (await sampleAll(theirs, { count, parallel, signal }))
        const name = { id: `file-${kind}.c${parallel}`, what: `${kind} 1 KB${atOnce}`, than: 'docker cp' }
        recordTimes(context, name, [own, other], true)
      }
    }
    const content = randomBytes(plan.largeMb * megabyte)
    await writeFile(join(folder, 'large'), content)
    const body = new Blob([content])
    const options = { count: plan.largeRuns, warmUp: 1 }
    const uploads = await besides(
      context,
      options,
      () => sandbox.files.write('large', body),
      () => copyIn('large'),
    )
    const downloads = await besides(
      context,
      options,
      () => sandbox.files.read('large', { format: 'bytes' }),
      () => copyOut('large'),
    )
    for (const [kind, [own, other]] of [
      ['upload', uploads],
      ['download', downloads],
    ] as const) {
      context.record({
        ...{ id: kind, what: `${kind} of ${plan.largeMb} MB`, unit: 'MB/s' },
        ours: measuredRates(own, plan.largeMb),
        ...(other && baseline('docker cp', measuredRates(other, plan.largeMb))),
      })
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  await sandboxes.kill(sandbox)
  if (container !== '') await engine?.remove([container])
}
