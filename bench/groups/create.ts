import { Sandbox } from 'e2b'
import { docker, dockerRemove, dockerRun } from '../docker-cli.ts'
import type { Group } from '../group.ts'
import { sample } from '../measure.ts'
import { type Report, spread } from '../report.ts'

/** Creating sandboxes, a first command in them, and killing them, beside `docker run`, `docker exec` and `docker rm`. */
export const benchCreate: Group = async ({ report }) => {
  for (const [count, parallel] of [
    [30, 1],
    [40, 10],
    [100, 100],
  ] as const) {
    const sandboxes: Sandbox[] = []
    const ours = await sample(async () => sandboxes.push(await Sandbox.create({ timeoutMs: 600_000 })), {
      count,
      parallel,
      warmUp: 1,
    })
    const kills = await sample((i) => sandboxes[i + 1]!.kill(), { count, parallel })
    await sandboxes[0]!.kill()
    const ids: string[] = []
    const baseline = await sample(async () => ids.push(await dockerRun()), { count, parallel, warmUp: 1 })
    const removals = await sample((i) => dockerRemove([ids[i + 1]!]), { count, parallel })
    await dockerRemove([ids[0]!])
    report(`create, ${parallel} at once | docker run -d`, spread(ours), spread(baseline))
    report(`kill, ${parallel} at once | docker rm -f`, spread(kills), spread(removals))
  }
  await benchFirstCommand(report)
}

async function benchFirstCommand(report: Report): Promise<void> {
  const sandboxes: Sandbox[] = []
  const containers: string[] = []
  const options = { count: 15, parallel: 1, warmUp: 1 }
  const ours = await sample(async () => {
    const sandbox = await Sandbox.create({ timeoutMs: 600_000 })
    sandboxes.push(sandbox)
    await sandbox.commands.run('true')
  }, options)
  const theirs = await sample(async () => {
    const id = await dockerRun()
    containers.push(id)
    await docker('exec', id, 'true')
  }, options)
  await Promise.all(sandboxes.map((sandbox) => sandbox.kill()))
  await dockerRemove(containers)
  report('create and first command | docker run -d and docker exec', spread(ours), spread(theirs))
}
