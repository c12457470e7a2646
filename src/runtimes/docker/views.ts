/**
 * What a sandbox sees of its machine: a boot id of its own for every boot, and its memory, CPUs and load in the kernel's
 * files that programs read (host/src/views/view.rs). The engine doesn't let a container's description say all of that, so
 * it is done from this machine as soon as the container runs. A process of ours keeps the changing figures true while
 * somebody reads them; without it they stay as they were last. Where the engine's kernel isn't ours, or we aren't root,
 * sandboxes see the engine's machine.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, readdir, rm, rmdir } from 'node:fs/promises'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { checkSandboxId } from '../../domain/sandbox-id.ts'
import type { Log } from '../../lib/log.ts'
import { patientSignal } from '../../lib/patience.ts'
import type { Engine } from './engine.ts'
import type { EngineHost } from './engine-host.ts'
import type { DockerGuest } from './handle.ts'
import { runHostTool } from './host-tool.ts'

/** In memory and root's on every machine, unlike the state directory: a slow disk would hold up who reads the files */
const viewsDir = '/run/e2b-server'
/** Longest time for giving one, in milliseconds */
const bindMs = 5_000
/** Pause before the keeper is started again, in milliseconds */
const restartMs = 1_000
/** Most that is kept of what the keeper says, in characters */
const complaintMax = 1_000

export interface Views {
  /** Keeps true what running containers have from before, if there are any. Never rejects. */
  begin(): Promise<void>
  /** Gives a running container what it hasn't yet. Never rejects: a sandbox without is usable. */
  bind(guest: DockerGuest): Promise<void>
  /** Idempotent. */
  remove(sandboxId: string): Promise<void>
  /** Lets go of what is only needed while we run; containers keep what they have. */
  close(): Promise<void>
}

export function createViews(options: {
  engine: Engine
  engineHost: EngineHost
  hostBinary: string
  instanceId: string
  log: Log
}): Views {
  const { engine, engineHost, hostBinary, log } = options
  const directory = join(viewsDir, options.instanceId)
  const path = (sandboxId: string) => join(directory, checkSandboxId(sandboxId))
  const keeper = createKeeper(hostBinary, directory, log)
  let hasWarned = false

  const tryBind = async ({ sandboxId, containerId }: DockerGuest) => {
    const deadline = patientSignal(bindMs)
    if (!(await engineHost.isOurs(deadline))) return
    const { State } = await engine.call(deadline, (docker, both) =>
      docker.getContainer(containerId).inspect({ abortSignal: both }),
    )
    // One that has ended already is for the caller to notice.
    if (State.Pid === 0) return
    await mkdir(path(sandboxId), { recursive: true, mode: 0o700 })
    const args = ['--pid', String(State.Pid), '--container', containerId, '--directory', path(sandboxId)]
    await runHostTool(hostBinary, ['bind-view', ...args], { timeoutMs: bindMs })
    keeper.add(sandboxId)
  }

  return {
    async begin() {
      const found = await readdir(directory).catch(() => [])
      if (found.length > 0 && process.getuid?.() === 0) keeper.start()
    },
    async bind(guest) {
      try {
        await tryBind(guest)
      } catch (error) {
        log[hasWarned ? 'debug' : 'warn'](
          { err: error },
          'a sandbox sees memory, CPUs and load of this machine',
        )
        hasWarned = true
      }
    },
    async remove(sandboxId) {
      if (process.getuid?.() === 0) await rm(path(sandboxId), { recursive: true, force: true })
    },
    async close() {
      keeper.close()
      // Stays while sandboxes do.
      await rmdir(directory).catch(() => {})
    },
  }
}

/** The process that writes before others read. It looks at all of the directory when it starts. */
function createKeeper(hostBinary: string, directory: string, log: Log) {
  let child: ChildProcess | undefined
  let restart: NodeJS.Timeout | undefined
  let isClosed = false

  const start = () => {
    if (child !== undefined || isClosed) return
    clearTimeout(restart)
    const args = ['host', 'keep-views', '--directory', directory]
    const started = spawn(hostBinary, args, { stdio: ['pipe', 'ignore', 'pipe'], env: {} })
    child = started
    let complaint = ''
    started.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaint = (complaint + text).slice(0, complaintMax)
    })
    const ended = (error?: Error) => {
      if (child !== started) return
      child = undefined
      if (isClosed) return
      log.warn({ err: error, complaint }, 'what sandboxes see of memory and load stands still for a moment')
      restart = setTimeout(start, restartMs).unref()
    }
    started.on('error', ended)
    started.on('exit', () => ended())
    // One that has ended is replaced.
    started.stdin.on('error', () => {})
    started.unref()
    for (const stream of [started.stdin, started.stderr]) if (stream instanceof Socket) stream.unref()
  }

  return {
    start,
    add(sandboxId: string) {
      if (child === undefined) start()
      else child.stdin?.write(`${sandboxId}\n`)
    },
    close() {
      isClosed = true
      clearTimeout(restart)
      child?.stdin?.end()
      child = undefined
    },
  }
}
