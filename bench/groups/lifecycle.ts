import { Sandbox } from 'e2b'
import { docker, dockerRemove, dockerRun } from '../docker-cli.ts'
import type { Group } from '../group.ts'
import { sample, timed } from '../measure.ts'
import { spread } from '../report.ts'

const count = 20

/** Pausing, resuming and copying sandboxes, beside what the engine's own commands take. */
export const benchLifecycle: Group = async ({ report }) => {
  const sandbox = await Sandbox.create({ timeoutMs: 3600_000 })
  await sandbox.commands.run('sleep 10000', { background: true, timeoutMs: 0 })
  const pauses = { kept: [] as number[], dropped: [] as number[] }
  const resumes = { kept: [] as number[], dropped: [] as number[] }
  const record = async (into: number[], task: () => Promise<unknown>) => {
    into.push(await timed(task))
  }
  for (const [kind, keepMemory] of [
    ['kept', true],
    ['dropped', false],
  ] as const) {
    for (let i = 0; i < count; i++) {
      await record(pauses[kind], () => sandbox.pause({ keepMemory }))
      await record(resumes[kind], () => sandbox.connect({ timeoutMs: 3600_000 }))
    }
  }
  const snapshots: string[] = []
  const copies = await sample(async () => snapshots.push((await sandbox.createSnapshot()).snapshotId), {
    count: 10,
    parallel: 1,
  })

  const id = await dockerRun()
  const engine = async (verb: 'pause' | 'unpause' | 'stop' | 'start') => docker(verb, id)
  const theirs = {
    pause: [] as number[],
    unpause: [] as number[],
    kill: [] as number[],
    start: [] as number[],
  }
  for (let i = 0; i < count; i++) {
    await record(theirs.pause, () => engine('pause'))
    await record(theirs.unpause, () => engine('unpause'))
  }
  for (let i = 0; i < count; i++) {
    await record(theirs.kill, () => docker('kill', id))
    await record(theirs.start, () => engine('start'))
  }
  const commits = await sample((i) => docker('commit', id, `e2b-bench:${i}`), { count: 10, parallel: 1 })

  report('pause with memory | docker pause', spread(pauses.kept), spread(theirs.pause))
  report('resume with memory | docker unpause', spread(resumes.kept), spread(theirs.unpause))
  report('pause without memory | docker kill', spread(pauses.dropped), spread(theirs.kill))
  report('resume from disk | docker start', spread(resumes.dropped), spread(theirs.start))
  report('snapshot | docker commit', spread(copies), spread(commits))

  for (const snapshot of snapshots) await Sandbox.deleteSnapshot(snapshot)
  await sandbox.kill()
  for (let i = 0; i < 10; i++) await docker('rmi', `e2b-bench:${i}`)
  await dockerRemove([id])
}
