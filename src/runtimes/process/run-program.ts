import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { ServerError } from '../../domain/error.ts'

/** Most that is kept of what a program says, in characters; the end of it counts */
const saidMax = 2_000

/**
 * Runs one of this machine's programs to its end and returns what it wrote to its output. An abort ends it, and only
 * then this rejects with the signal's reason. Errors: `resource_exhausted` (its disk is full), `internal`.
 */
export async function runProgram(program: string, args: string[], signal?: AbortSignal): Promise<string> {
  signal?.throwIfAborted()
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    // The reason of a failure is read from its messages.
    env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
  })
  const said = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      said[name] = (said[name] + text).slice(-saidMax)
    })
  }
  const kill = () => child.kill('SIGKILL')
  signal?.addEventListener('abort', kill, { once: true })
  const [code] = await once(child, 'close').finally(() => signal?.removeEventListener('abort', kill))
  if (code === 0) return said.stdout
  signal?.throwIfAborted()
  const cause = new Error(`${program} ended with ${code}: ${said.stderr}`)
  if (!/No space left on device|Disk quota exceeded/.test(said.stderr)) throw cause
  throw new ServerError('resource_exhausted', "The server's disk is full.", { cause, errno: 'ENOSPC' })
}
