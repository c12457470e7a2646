import type { Runtime } from '../domain/runtime.ts'
import type { Log } from '../lib/log.ts'
import { createDockerRuntime } from '../runtimes/docker/runtime.ts'
import { createProcessRuntime } from '../runtimes/process/runtime.ts'
import { type Config, ConfigError } from './config.ts'
import { requireGuestBinary } from './installation.ts'

/** How long the engine may take to say what it is, in ms. */
const fingerprintTimeoutMs = 10_000

/** The runtime that is asked for; `auto` is the strongest usable one, never one without isolation. */
export function createRuntime(config: Config, instanceId: string, log: Log): Runtime {
  const shared = { guestBinary: requireGuestBinary(), instanceId, log }
  if (config.runtime === 'process') return createProcessRuntime({ ...shared, acknowledgeNoIsolation: true })
  return createDockerRuntime({
    ...shared,
    stateDir: config.stateDir,
    transport: config.dockerTransport,
    ...(config.dockerHost !== undefined && { dockerHost: config.dockerHost }),
  })
}

/** Errors: `ConfigError` with what to do when the runtime can't be used. */
export async function requireUsable(runtime: Runtime): Promise<void> {
  const { usable, detail } = await runtime.fingerprint(AbortSignal.timeout(fingerprintTimeoutMs))
  if (!usable) throw new ConfigError(`The ${runtime.name} runtime can't be used: ${detail}`)
}
