/** A real server as a user runs it: the built program in a process of its own, with a state directory of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { testedRuntime } from '../../scripts/test/runtime.mjs'
import { holdingsOf } from './holdings.ts'
import { modeFlags, pointResolverAt, pointSdksAt, prepareState, sharedUrl } from './mode.ts'

export interface TestServer extends AsyncDisposable {
  /** Base URL of the API */
  readonly url: string
  /** Base URL for requests that name their sandbox by headers */
  readonly sandboxUrl: string
  readonly apiKey: string
  readonly stateDir: string
  /** Process id of the server. */
  pid(): number
  /** Process ids of its data workers, in the order they were started. */
  dataWorkers(): number[]
  /** Resident memory of the server with its data workers, in bytes */
  residentBytes(): number
  /** Everything the server has printed since its last start. */
  output(): string
  /** Sends a signal and resolves with what had been printed when the process ended. */
  end(signal: 'SIGTERM' | 'SIGINT' | 'SIGKILL'): Promise<string>
  /** Starts again on the same state directory and port, with more flags if given. */
  restart(more?: string[]): Promise<void>
}

export interface TestServerOptions {
  flags?: string[]
  env?: Record<string, string>
  /** Whether it is the one of shared-server.ts. */
  isShared?: boolean
}

/** Tests that count guests want none but theirs. */
const noneAhead = { E2B_SERVER_WARM_MEMORY_MB: '0' }

const program = join(import.meta.dirname, '../../scripts/e2b-server.mjs')
// A first start may make an image of its own, on a machine that does much else.
const startTimeoutMs = 120_000
const endTimeoutMs = 60_000

/**
 * Starts a server on a free port and points this process's E2B SDKs at it. Disposing ends it and every sandbox it
 * has left.
 */
export async function startTestServer({
  flags = [],
  env = {},
  isShared = false,
}: TestServerOptions = {}): Promise<TestServer> {
  const stateDir = mkdtempSync(join(tmpdir(), 'e2b-server-test-'))
  pointResolverAt({ isShared })
  prepareState(stateDir)
  let running = await launch('0')
  const apiKey = env.E2B_SERVER_API_KEY ?? readFileSync(join(stateDir, 'api-key'), 'utf8').trim()
  pointSdksAt(running.url, apiKey)

  return {
    url: running.url,
    sandboxUrl: sharedUrl(running.url),
    apiKey,
    stateDir,
    pid: () => running.child.pid!,
    dataWorkers: () => dataWorkersOf(running.child.pid!),
    residentBytes() {
      return residentBytesOfServer(running.child.pid!)
    },
    output: () => running.printed(),
    end: (signal) => end(signal),
    async restart(more = []) {
      running = await launch(new URL(running.url).port, more)
    },
    async [Symbol.asyncDispose]() {
      if (running.child.exitCode === null && running.child.signalCode === null) await end('SIGTERM')
      running = await launch('0', ['--destroy-on-exit'])
      const said = await end('SIGTERM')
      // Images outlive their server, in case that its store is put back, but not a test's.
      await (await holdingsOf(stateDir, env)).removeImages()
      rmSync(stateDir, { recursive: true, force: true })
      if (!said.includes('No sandboxes are left'))
        throw new Error(`the server left something behind:\n${said}`)
    },
  }

  async function end(signal: NodeJS.Signals): Promise<string> {
    const { child } = running
    const closed = once(child, 'close')
    child.kill(signal)
    const timer = setTimeout(() => child.kill('SIGKILL'), endTimeoutMs)
    await closed
    clearTimeout(timer)
    if (child.signalCode === 'SIGKILL' && signal !== 'SIGKILL')
      throw new Error(`the server did not end by ${signal}:\n${running.printed()}`)
    return running.printed()
  }

  async function launch(port: string, more: string[] = []) {
    const args = [
      program,
      'start',
      ...modeFlags(port, { isShared }),
      '--state-dir',
      stateDir,
      ...flags,
      ...more,
    ]
    const child = spawn(process.execPath, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        E2B_SERVER_RUNTIME: testedRuntime(),
        E2B_SERVER_LOG_LEVEL: 'warn',
        ...noneAhead,
        ...env,
      },
    })
    let printed = ''
    child.stdout.on('data', (text) => (printed += text))
    child.stderr.on('data', (text) => (printed += text))
    const url = await waitForUrl(child, () => printed)
    return { child, url, printed: () => printed }
  }

  async function waitForUrl(child: ChildProcess, printed: () => string): Promise<string> {
    const deadline = Date.now() + startTimeoutMs
    while (Date.now() < deadline && child.exitCode === null) {
      const url = /answers on (\S+)/.exec(printed())?.[1]
      if (url !== undefined && existsSync(join(stateDir, 'server.json'))) return url
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    child.kill('SIGKILL')
    throw new Error(`the server did not start:\n${printed()}`)
  }
}

function dataWorkersOf(pid: number): number[] {
  const children = readProc(pid, `task/${pid}/children`).split(' ').filter(Boolean)
  return children.map(Number).filter((child) => readProc(child, 'cmdline').includes('data-worker'))
}

/** Resident memory of a server with its data workers, in bytes. */
export function residentBytesOfServer(pid: number): number {
  return [pid, ...dataWorkersOf(pid)].reduce((sum, each) => sum + residentBytesOf(each), 0)
}

/** 0 for one that has just ended. */
function residentBytesOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readProc(pid, 'status'))?.[1] ?? 0) * 1024
}

function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return ''
  }
}
