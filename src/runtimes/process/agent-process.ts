/** The agent as a child that outlives the server. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { ServerError } from '../../domain/error.ts'
import { awaitListener, pinSocket } from '../../lib/pinned-socket.ts'
import { type GuestDirs, type Owner, socketName } from './guest-dir.ts'
import type { ProcessId } from './handle.ts'
import { findProcess, guestProcesses, isAlive, signalProcess } from './proc-table.ts'

/** Rounds of looking for a guest's processes and killing them; one that forks loses after a few */
const killRoundsMax = 50
/** Rounds that follow each other at once */
const quickRounds = 5

export interface Agent extends ProcessId {
  /** Resolves when the process has ended, with how. Never rejects. */
  ended: Promise<string>
}

/** Spawns the agent in a session of its own. Errors: `internal`. */
export async function spawnAgent(options: {
  binary: string
  sandboxId: string
  dirs: GuestDirs
  /** Absent: the server's own user */
  owner: Owner | undefined
}): Promise<Agent> {
  const { sandboxId, dirs, owner } = options
  const home = dirs.home(sandboxId)
  // No HTTP endpoint: its port is the machine's here, and the server's own. The socket's path is relative, as the
  // system limits its length. HOME marks the process as the guest's.
  const args = ['--listen', `unix:${socketName}`, '--unprivileged', '--home', home, '--no-http']
  const child = spawn(options.binary, args, {
    cwd: dirs.agent(sandboxId),
    env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', HOME: home },
    stdio: 'ignore',
    detached: true,
    ...(owner && { uid: owner.uid, gid: owner.gid }),
  })
  const ended = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => resolve(signal ?? `exit status ${code}`))
    child.once('error', (error) => resolve(error.message))
  })
  const failed = async () => {
    throw new ServerError('internal', `The sandbox's agent could not run: ${await ended}.`)
  }
  await Promise.race([once(child, 'spawn'), failed()]).catch(failed)
  child.unref()
  const found = await findProcess(child.pid ?? 0)
  if (found === undefined) return await failed()
  return { pid: found.pid, startTicks: found.startTicks, ended }
}

/** Resolves once the agent accepts connections. */
export async function awaitAgent(directory: string, signal: AbortSignal): Promise<void> {
  await (await awaitListener(join(directory, socketName), signal)).close()
}

async function untilEnded(agent: ProcessId, signal: AbortSignal): Promise<void> {
  while (await isAlive(agent)) await delay(1, undefined, { signal })
}

/** A new half-open stream. Rejects with the system's error. */
export async function connectAgent(directory: string, signal: AbortSignal) {
  const socket = await pinSocket(join(directory, socketName))
  try {
    return await socket.connect(signal)
  } finally {
    await socket.close()
  }
}

/** Kills the agent and every process of its guest. Returns when all are gone. */
export async function killGuest(agent: ProcessId, home: string, signal: AbortSignal): Promise<void> {
  // Stopped first, so that it starts nothing more.
  await signalProcess(agent, 'SIGSTOP')
  for (let round = 0; round < killRoundsMax; round++) {
    const members = await guestProcesses(agent, home)
    if (members.length === 0) return
    // The agent goes last: while it stands there its processes are found below it.
    const others = members.filter(({ pid }) => pid !== agent.pid)
    for (const member of others.length > 0 ? others : members) await signalProcess(member, 'SIGKILL')
    // One that stood still and had nobody below it leaves nobody behind.
    const [last] = members
    if (members.length === 1 && last?.pid === agent.pid && last.state === 'T')
      return untilEnded(agent, signal)
    await delay(round < quickRounds ? 1 : 10, undefined, { signal })
  }
  throw new ServerError('internal', 'The processes of the sandbox could not be ended.')
}
