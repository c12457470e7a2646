import { execFile } from 'node:child_process'

/** Most that is read of what the program says, in bytes */
const outputMaxBytes = 64 * 1024

/**
 * Has the helper's program do on this machine what Node.js can't (spec/host.md, For containers of an engine). Rejects with what it says
 * when it fails, when it can't be run, and when it is killed because the time is over or the signal aborts. `input` is what
 * it reads.
 */
export function runHostTool(
  hostBinary: string,
  args: string[],
  { timeoutMs, signal, input = '' }: { timeoutMs: number; signal?: AbortSignal; input?: string },
): Promise<void> {
  const options = {
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
    maxBuffer: outputMaxBytes,
    env: {},
    signal,
  } as const
  return new Promise((resolve, reject) => {
    const child = execFile(hostBinary, ['host', ...args], options, (error, _, stderr) => {
      if (error === null) resolve()
      else reject(new Error(stderr.trim() || error.message, { cause: error }))
    })
    // One that ends before it has read all says why by itself.
    child.stdin?.on('error', () => {})
    child.stdin?.end(input)
  })
}
