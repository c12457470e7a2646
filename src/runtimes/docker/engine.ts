/**
 * The one way to the engine. Each call runs in the newest API version that both sides know, ends when the engine goes
 * down, and fails with an error of ours.
 */
import { Agent } from 'node:http'
import type { Readable } from 'node:stream'
import Docker from 'dockerode'
import { ServerError, toError } from '../../domain/error.ts'
import { abortable } from '../../lib/deadline.ts'
import { linkSignals } from '../../lib/linked-signal.ts'
import type { Log } from '../../lib/log.ts'
import { createEngineHealth, type EngineHealth } from './engine-health.ts'
import { pingEngine } from './engine-ping.ts'

/** Newest API version that our calls are written for; an engine that speaks a newer one still admits it */
const newestApi = '1.47'
/** Oldest one that has all we use (engine 20.10) */
const oldestApi = '1.41'

interface Abortable {
  abortSignal: AbortSignal
}

/** dockerode's client with the options that its types leave out. */
export type Client = {
  info(options: Abortable): Promise<{ [field: string]: unknown }>
  version(options: Abortable): Promise<Docker.DockerVersion>
  getEvents(options: Abortable & { filters: { [name: string]: string[] } }): Promise<Readable>
  pull(image: string, options: Abortable): Promise<Readable>
  getImage(name: string): { inspect(options: Abortable): Promise<Docker.ImageInspectInfo> } & Docker.Image
  getNetwork(name: string): {
    inspect(options: Abortable): Promise<Docker.NetworkInspectInfo>
    remove(options: Abortable): Promise<unknown>
  } & Pick<Docker.Network, 'connect' | 'disconnect'>
} & Docker

export interface Engine {
  readonly socketPath: string
  readonly health: EngineHealth
  /**
   * Runs `task` with a client. The task passes the signal on to every call it makes. Errors: `unavailable` within 2 s
   * of the engine's silence, `canceled` or `deadline_exceeded` by the signal, `resource_exhausted` (disk, memory),
   * those the task throws itself, else `internal`.
   */
  call<T>(signal: AbortSignal, task: (docker: Client, signal: AbortSignal) => Promise<T>): Promise<T>
  /** API version agreed on. Errors as `call`. */
  apiVersion(signal: AbortSignal): Promise<string>
  close(): void
}

export function createEngine(options: { socketPath: string; log: Log }): Engine {
  const { socketPath } = options
  // A connection for each call: a kept one that the engine has dropped fails the next call, and a new one costs 0.1 ms.
  const agent = new Agent({ keepAlive: false })
  const health = createEngineHealth({
    ...options,
    ping: (signal) => pingEngine(socketPath, agent, signal),
  })
  let client: Promise<{ docker: Client; version: string }> | undefined

  // An engine that comes back may be another version.
  health.onChange(() => {
    client = undefined
  })

  const agree = async (signal: AbortSignal) => {
    const version = commonApi((await pingEngine(socketPath, agent, signal)).apiVersion)
    // Everything about the connection is set: what is absent dockerode takes from DOCKER_HOST.
    const how: Docker.DockerOptions & { agent: Agent } = {
      socketPath,
      host: undefined,
      port: undefined,
      protocol: 'http',
      version: `v${version}`,
      agent,
    }
    return { docker: new Docker(how) as Client, version }
  }

  /** All callers share one agreement, so it ends with the engine, not with the caller who came first. */
  const connected = (down: AbortSignal) => {
    if (client === undefined) {
      const agreed = agree(down)
      agreed.catch(() => {
        if (client === agreed) client = undefined
      })
      client = agreed
    }
    return client
  }

  const run = async <T>(
    signal: AbortSignal,
    task: (agreed: { docker: Client; version: string }, signal: AbortSignal) => Promise<T>,
  ): Promise<T> => {
    const use = health.use()
    const either = linkSignals([signal, use.down])
    try {
      const agreed = await abortable(connected(use.down), either.signal)
      const result = await abortable(task(agreed, either.signal), either.signal)
      health.heard()
      return result
    } catch (error) {
      if (either.signal.aborted) throw toError(either.signal.reason)
      throw engineError(error)
    } finally {
      either.dispose()
      use.release()
    }
  }

  return {
    socketPath,
    health,
    call: (signal, task) => run(signal, ({ docker }, both) => task(docker, both)),
    apiVersion: (signal) => run(signal, async ({ version }) => version),
    close() {
      health.close()
      agent.destroy()
    },
  }
}

/** The HTTP status that the engine refused a call with, or undefined for any other failure. */
export function statusOf(error: unknown): number | undefined {
  const status = (error as { statusCode?: unknown } | null)?.statusCode
  return typeof status === 'number' ? status : undefined
}

/** The engine's own words about a refused call, for telling causes apart and for the log. */
export function reasonOf(error: unknown): string {
  const message = (error as { json?: { message?: unknown } | null } | null)?.json?.message
  return typeof message === 'string' ? message : String((error as Error | null)?.message ?? error)
}

/** Adds the signal to a call's options; dockerode passes it on everywhere, its types know it only in places. */
export function withSignal<T extends object>(options: T, signal: AbortSignal): T & Abortable {
  return { ...options, abortSignal: signal }
}

/** The API version to use with an engine whose newest is `engineApi`. Errors: `unavailable` when it is too old. */
export function commonApi(engineApi: string): string {
  if (!/^\d{1,3}\.\d{1,4}$/.test(engineApi)) {
    throw new ServerError('unavailable', 'What answers at the Docker socket is not a Docker engine.')
  }
  if (compareApi(engineApi, oldestApi) < 0) {
    throw new ServerError(
      'unavailable',
      `The Docker engine is too old: its API is ${engineApi}, and ${oldestApi} (engine 20.10) is the oldest supported.`,
    )
  }
  return compareApi(engineApi, newestApi) < 0 ? engineApi : newestApi
}

function compareApi(left: string, right: string): number {
  const [leftMajor = 0, leftMinor = 0] = left.split('.').map(Number)
  const [rightMajor = 0, rightMinor = 0] = right.split('.').map(Number)
  return leftMajor - rightMajor || leftMinor - rightMinor
}

function engineError(error: unknown): ServerError {
  if (error instanceof ServerError) return error
  if (statusOf(error) === undefined) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== undefined) {
      return new ServerError('unavailable', 'The Docker engine does not answer.', {
        cause: error,
        errno: code,
        retryAfterS: 1,
      })
    }
    return toError(error)
  }
  const reason = reasonOf(error)
  if (/no space left on device/i.test(reason)) {
    return new ServerError('resource_exhausted', "The disk of the server's Docker engine is full.", {
      cause: error,
      errno: 'ENOSPC',
    })
  }
  if (/cannot allocate memory|out of memory/i.test(reason)) {
    return new ServerError('resource_exhausted', 'The server has no memory left.', {
      cause: error,
      errno: 'ENOMEM',
    })
  }
  return new ServerError('internal', 'The Docker engine failed. The server log has the cause.', {
    cause: error,
  })
}
