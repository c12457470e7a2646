import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { Sandbox } from 'e2b'
import { timed } from '../../src/bench/statistics.ts'
import { dockerRemove, dockerRun } from '../docker-cli.ts'
import type { Group } from '../group.ts'

/** Output of a command that does little else, beside `docker exec` into a pipe. */
export const benchOutput: Group = async ({ report }) => {
  const container = await dockerRun()
  for (const [name, command, bytes] of [
    ['100 MB of output', 'head -c 100000000 /dev/zero | tr "\\0" x', 100_000_000],
    ['500 MiB of output (yes)', 'yes | head -c 500M', 500 * 2 ** 20],
  ] as const) {
    const sandbox = await Sandbox.create({ timeoutMs: 600_000 })
    let received = 0
    const ours = await timed(async () => {
      const { stdout } = await sandbox.commands.run(command, { timeoutMs: 0 })
      received = stdout.length
    })
    if (received !== bytes) throw new Error(`${received} bytes arrived of ${bytes}`)
    const baseline = await timed(() => pipeThrough(container, command))
    const rate = (durationMs: number) => `${(bytes / 1000 / durationMs).toFixed(0)} MB/s`
    report(`${name} | docker exec`, rate(ours), rate(baseline))
    await sandbox.kill()
  }
  await dockerRemove([container])
}

async function pipeThrough(container: string, command: string): Promise<void> {
  const script = `docker exec ${container} bash -l -c '${command}' | cat > /dev/null`
  await promisify(execFile)('sh', ['-c', script])
}
