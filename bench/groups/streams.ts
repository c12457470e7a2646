import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Sandbox } from 'e2b'
import { sample } from '../../src/bench/statistics.ts'
import { dockerRemove, dockerRun } from '../docker-cli.ts'
import type { Group } from '../group.ts'
import { spread } from '../report.ts'

const count = 500
const warmUp = 20

/** A line written to a running `cat` until it is back, beside a kept `docker exec -i`. */
export const benchStreams: Group = async ({ report }) => {
  const sandbox = await Sandbox.create({ timeoutMs: 600_000 })
  const container = await dockerRun()
  let arrived: () => void = () => {}
  const cat = await sandbox.commands.run('cat', {
    background: true,
    stdin: true,
    timeoutMs: 0,
    onStdout: () => arrived(),
  })
  const ours = await sample(
    async () => {
      const back = new Promise<void>((resolve) => {
        arrived = resolve
      })
      await Promise.all([back, sandbox.commands.sendStdin(cat.pid, 'a line\n')])
    },
    { count, warmUp },
  )

  const kept = spawn('docker', ['exec', '-i', container, 'cat'], { stdio: ['pipe', 'pipe', 'inherit'] })
  const baseline = await sample(
    async () => {
      kept.stdin.write('a line\n')
      await once(kept.stdout, 'data')
    },
    { count, warmUp },
  )
  kept.kill()
  report('a line there and back on a kept stream | a kept docker exec -i', spread(ours), spread(baseline))
  await dockerRemove([container])
  await sandbox.kill()
}
