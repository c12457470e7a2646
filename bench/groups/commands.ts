import { Sandbox } from 'e2b'
import { timed } from '../../src/bench/statistics.ts'
import { docker, dockerRemove, dockerRun } from '../docker-cli.ts'
import type { Group } from '../group.ts'
import { ms, type Report } from '../report.ts'

/** Hundreds of commands at once, beside the shells alone. */
export const benchCommands: Group = async ({ report }) => {
  const sandbox = await Sandbox.create({ timeoutMs: 600_000 })
  const container = await dockerRun()
  for (const count of [200, 1500]) await benchAtOnce(count, { sandbox, container, report })
  await dockerRemove([container])
  await sandbox.kill()
}

interface AtOnce {
  sandbox: Sandbox
  container: string
  report: Report
}

async function benchAtOnce(count: number, { sandbox, container, report }: AtOnce): Promise<void> {
  let failures = 0
  const wall = await timed(() =>
    Promise.all(
      Array.from({ length: count }, () =>
        sandbox.commands.run('true', { timeoutMs: 0, requestTimeoutMs: 0 }).catch(() => failures++),
      ),
    ),
  )
  const loop = `for i in $(seq ${count}); do bash -l -c true & done; wait`
  const shells = await timed(() => docker('exec', container, 'bash', '-c', loop))
  report(
    `${count} commands at once, wall time | the shells alone`,
    `${ms(wall)}, ${failures} failed`,
    ms(shells),
  )
}
