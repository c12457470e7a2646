/** This machine with files of its own: what programs in it do to /etc and to local certificates is seen by nobody else. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { promisify } from 'node:util'

export interface PrivateMachine extends AsyncDisposable {
  /** A command to put before that of a program, which then runs there. */
  readonly prefix: string[]
  /** Runs a program there to its end, with these variables and no others; its standard input is `/dev/null`. */
  run(
    command: string[],
    env?: Record<string, string>,
  ): Promise<{ code: number; stdout: string; stderr: string }>
}

const folders = ['/etc', '/usr/local/share/ca-certificates']
/** Copies in memory, as overlays don't lie on every file system; hooks of other packages keep stores with times in them. */
const prepare = `
set -e
mkdir -p /usr/local/share/ca-certificates
memory=$(mktemp -d)
mount -t tmpfs none "$memory"
for folder in ${folders.join(' ')}; do
  mkdir -p "$memory$folder"
  cp -a "$folder/." "$memory$folder"
  mount --bind "$memory$folder" "$folder"
done
rm -rf /etc/ca-certificates/update.d
mkdir /etc/ca-certificates/update.d
echo ready
exec sleep infinity
`
const programTimeoutMs = 120_000

export async function startPrivateMachine(): Promise<PrivateMachine> {
  const holder = spawn('unshare', ['--mount', 'sh', '-c', prepare], { stdio: ['ignore', 'pipe', 'inherit'] })
  await readyOf(holder)
  const prefix = ['nsenter', `--mount=/proc/${holder.pid}/ns/mnt`, `--wdns=${process.cwd()}`, '--']
  return {
    prefix,
    run(command, env = {}) {
      const { PATH = '' } = process.env
      const options = { env: { PATH, ...env }, timeout: programTimeoutMs, maxBuffer: 2 ** 26 }
      const child = promisify(execFile)(prefix[0]!, [...prefix.slice(1), ...command], options)
      child.child.stdin?.end()
      return child.then(
        (out) => ({ code: 0, ...out }),
        ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
      )
    },
    async [Symbol.asyncDispose]() {
      const ended = once(holder, 'close')
      holder.kill('SIGKILL')
      await ended
    },
  }
}

async function readyOf(holder: ChildProcess): Promise<void> {
  const [said] = await Promise.race([once(holder.stdout!, 'data'), once(holder, 'close').then(() => [''])])
  if (String(said) !== 'ready\n') throw new Error('no name space of its own: are you root?')
}
