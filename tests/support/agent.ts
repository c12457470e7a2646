/** The real guest agent, as a child of the test on a unix socket in a temporary directory. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Guest } from '../../src/guest/guest.ts'
import { connectTo } from './peer.ts'

export const agentBinary = fileURLToPath(new URL('../../guest/target/release/e2b-guest', import.meta.url))
/** The helper on the machine */
export const hostBinary = fileURLToPath(new URL('../../build/e2b-host', import.meta.url))

export interface TestAgent extends AsyncDisposable {
  guest: Guest
  /** An empty directory for the test's files, removed at the end */
  folder: string
  /** Ends the agent at once, as a crash would, and waits until it is gone */
  kill(): Promise<void>
}

/** How long an agent may take to listen, in milliseconds. */
const startTimeoutMs = 10_000

/** Starts an agent. As root it serves every user; otherwise it runs unprivileged, with `folder` as everyone's home. */
export async function startAgent(): Promise<TestAgent> {
  if (!existsSync(agentBinary)) {
    throw new Error(`${agentBinary} is missing. Build it with "cargo build --release" in guest/.`)
  }
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'e2b-agent-')))
  const socket = join(folder, 'agent.sock')
  const unprivileged = process.getuid?.() === 0 ? [] : ['--unprivileged', '--home', folder]
  const command = [agentBinary, '--listen', `unix:${socket}`, '--no-http', ...unprivileged]
  const [program = '', ...args] = unprivileged.length > 0 ? command : withoutLoginFiles(command)
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  const kill = () => killChild(child)
  try {
    await waitForSocket(socket, child)
  } catch (thrown) {
    await kill()
    throw thrown
  }
  return {
    guest: { lands: true, connect: (_signal, landing) => connectTo(socket, landing) },
    folder,
    kill,
    async [Symbol.asyncDispose]() {
      await kill()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/**
 * What root of this machine has a login shell do isn't part of any test: it takes time, and what is killed in the middle of
 * it may leave locks behind.
 */
function withoutLoginFiles(command: string[]): string[] {
  const hide =
    'for f in .profile .bash_profile .bash_login; do [ ! -e ~/$f ] || mount --bind /dev/null ~/$f; done'
  return ['unshare', '--mount', 'sh', '-c', `${hide}; exec "$0" "$@"`, ...command]
}

async function waitForSocket(path: string, child: ChildProcess): Promise<void> {
  const deadline = Date.now() + startTimeoutMs
  for (;;) {
    try {
      ;(await connectTo(path)).destroy()
      return
    } catch (error) {
      if (Date.now() > deadline || child.exitCode !== null || child.signalCode !== null) {
        throw new Error('The agent does not listen.', { cause: error })
      }
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }
}

async function killChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await exited
}
