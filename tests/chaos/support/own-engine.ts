/**
 * A Docker engine of the test's own, which it may kill: with its own data, and in a network namespace of its own, so
 * that the machine's engine and its bridges know nothing of it.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import Docker from 'dockerode'

export interface OwnEngine extends AsyncDisposable {
  /** For DOCKER_HOST */
  readonly dockerHost: string
  readonly docker: Docker
  /** As `kill -9`; its containers live on. */
  kill(): Promise<void>
  /** Starts it again and resolves when it answers; one that runs is left alone. */
  start(): Promise<void>
}

const answerTimeoutMs = 60_000

/** With one image of the machine's engine. */
export async function startOwnEngine(image: string): Promise<OwnEngine> {
  const folder = mkdtempSync(join(tmpdir(), 'e2b-engine-'))
  const namespace = `e2b-engine-${randomBytes(4).toString('hex')}`
  const socket = join(folder, 'docker.sock')
  const logFile = join(folder, 'log')
  const docker = new Docker({ socketPath: socket })
  let engine: ChildProcess | undefined

  const own: OwnEngine = {
    dockerHost: `unix://${socket}`,
    docker,
    async kill() {
      if (engine === undefined || engine.exitCode !== null || engine.signalCode !== null) return
      const ended = once(engine, 'exit')
      engine.kill('SIGKILL')
      await ended
      engine = undefined
      await untilContainerdIsGone(join(folder, 'exec/containerd/containerd.pid'))
    },
    async start() {
      if (engine !== undefined && engine.exitCode === null && engine.signalCode === null) return
      const log = openSync(logFile, 'a')
      engine = spawn(
        'nsenter',
        [
          ...[`--net=/run/netns/${namespace}`, 'dockerd', '--live-restore'],
          ...['--data-root', join(folder, 'data'), '--exec-root', join(folder, 'exec')],
          ...['--pidfile', join(folder, 'pid'), '--host', `unix://${socket}`],
        ],
        { stdio: ['ignore', log, log] },
      )
      closeSync(log)
      const late = Date.now() + answerTimeoutMs
      while (
        !(await docker.ping().then(
          () => true,
          () => false,
        ))
      ) {
        if (Date.now() > late || engine.exitCode !== null) {
          throw new Error(`the engine does not answer:\n${readFileSync(logFile, 'utf8').slice(-2000)}`)
        }
        await sleep(50)
      }
    },
    async [Symbol.asyncDispose]() {
      if (engine === undefined) await own.start().catch(() => {})
      for (const { Id } of await docker.listContainers({ all: true }).catch(() => [])) {
        await docker
          .getContainer(Id)
          .remove({ force: true })
          .catch(() => {})
      }
      if (engine !== undefined && engine.exitCode === null) {
        const ended = once(engine, 'exit')
        engine.kill('SIGTERM')
        await ended
      }
      await run('ip', ['netns', 'del', namespace]).catch(() => {})
      for (const mount of mountsBelow(folder)) await run('umount', ['-l', mount]).catch(() => {})
      rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 })
    },
  }

  await run('ip', ['netns', 'add', namespace])
  try {
    await run('ip', ['-n', namespace, 'link', 'set', 'lo', 'up'])
    await own.start()
    await run('sh', ['-c', `docker save '${image}' | docker -H 'unix://${socket}' load`])
    return own
  } catch (error) {
    await own[Symbol.asyncDispose]()
    throw error
  }
}

/** It goes with the engine that started it, a moment later; an engine that starts meanwhile waits for it in vain. */
async function untilContainerdIsGone(pidFile: string): Promise<void> {
  const pid = readFileSync(pidFile, 'utf8').trim()
  const isThere = () =>
    existsSync(`/proc/${pid}/exe`) && readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('containerd')
  const late = Date.now() + answerTimeoutMs
  while (isThere() && Date.now() < late) await sleep(20)
  rmSync(pidFile, { force: true })
}

/** Deepest first. */
function mountsBelow(folder: string): string[] {
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n')
  return mounts
    .map((line) => line.split(' ')[1] ?? '')
    .filter((path) => path.startsWith(`${folder}/`))
    .sort((a, b) => b.length - a.length)
}

async function run(program: string, args: string[]): Promise<void> {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (text) => (said += text))
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} failed: ${said}`)
}
