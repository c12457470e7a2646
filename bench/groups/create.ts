import { Sandbox } from 'e2b'
import { dockerRemove, dockerRun } from '../docker-cli.ts'
import type { Group } from '../group.ts'
import { sample } from '../measure.ts'
import { spread } from '../report.ts'

/** Creating and killing sandboxes, beside `docker run` and `docker rm`. */
export const benchCreate: Group = async ({ report }) => {
  for (const [count, parallel] of [
    [30, 1],
    [40, 10],
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
}
