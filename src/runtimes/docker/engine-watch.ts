/** Reports deaths of containers and of the engine itself, for as long as the signal allows. */
import { setTimeout as delay } from 'node:timers/promises'
import type { RuntimeEvent } from '../../domain/runtime.ts'
import { isSandboxId } from '../../domain/sandbox-id.ts'
import type { Log } from '../../lib/log.ts'
import { instanceLabel, sandboxLabel } from './container.ts'
import { type Client, type Engine, statusOf } from './engine.ts'
import { jsonLines } from './json-lines.ts'

/** Pauses between attempts to hear the engine's events again, in milliseconds */
const backoffMs = { first: 100, most: 2000 }

export interface WatchOptions {
  engine: Engine
  instanceId: string
  /** Whether the end of this guest is our own doing */
  isExpected: (sandboxId: string) => boolean
  listener: (event: RuntimeEvent) => void
  log: Log
}

/** Never throws; returns when the signal aborts. */
export async function watchEngine(options: WatchOptions, signal: AbortSignal): Promise<void> {
  const { engine, listener } = options
  let upAnnounced = false
  // The engine counts as in use for as long as somebody watches it.
  const use = engine.health.use()
  const stopHealth = engine.health.onChange(({ up, reason }) => {
    if (up) return
    upAnnounced = false
    listener({ type: 'engine-down', reason })
  })
  let pauseMs = backoffMs.first
  while (!signal.aborted) {
    try {
      await engine.call(signal, async (docker, both) => {
        const stream = await docker.getEvents({ filters: filters(options.instanceId), abortSignal: both })
        // Said only now, when events are heard again: a caller who reconciles from here on misses none.
        if (!upAnnounced) listener({ type: 'engine-up' })
        upAnnounced = true
        pauseMs = backoffMs.first
        for await (const event of jsonLines(stream)) await report(event, docker, options, both)
      })
      options.log.debug({}, 'the Docker engine ended its events')
    } catch (error) {
      if (!signal.aborted) options.log.debug({ err: error }, 'the events of the Docker engine are not heard')
    }
    // Whatever happens from here until the stream is back is not seen, so that also ends with `engine-up`.
    upAnnounced = false
    await delay(pauseMs, undefined, { signal }).catch(() => {})
    pauseMs = Math.min(pauseMs * 2, backoffMs.most)
  }
  stopHealth()
  use.release()
}

/** `oom` isn't among them: it says that a process was killed, and a sandbox outlives its processes. */
function filters(instanceId: string) {
  return { type: ['container'], event: ['die'], label: [`${instanceLabel}=${instanceId}`] }
}

async function report(
  event: unknown,
  docker: Client,
  { isExpected, listener }: WatchOptions,
  signal: AbortSignal,
): Promise<void> {
  const { Actor: actor } = event as { Actor?: { ID?: string; Attributes?: Record<string, string> } }
  const sandboxId = actor?.Attributes?.[sandboxLabel]
  if (sandboxId === undefined || !isSandboxId(sandboxId) || isExpected(sandboxId)) return
  // Old news of one that has booted again since, as after a pause that ended its processes.
  if (await isRunning(docker, actor?.ID ?? '', signal)) return
  if (!isExpected(sandboxId)) listener({ type: 'guest-gone', sandboxId })
}

async function isRunning(docker: Client, containerId: string, signal: AbortSignal): Promise<boolean> {
  try {
    return (await docker.getContainer(containerId).inspect({ abortSignal: signal })).State.Running
  } catch (error) {
    if (statusOf(error) === 404) return false
    throw error
  }
}
