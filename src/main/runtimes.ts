import type { Fingerprint, Runtime } from '../domain/runtime.ts'
import type { Log } from '../lib/log.ts'
import { patientSignal } from '../lib/patience.ts'
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
    startConcurrency: config.maxStarting,
    registries: {
      offline: config.offline,
      allow: config.registryAllow,
      ...(config.registryMirror !== undefined && { mirror: config.registryMirror }),
    },
    egress: config.openEgress ? { open: true } : { open: false, allow: config.egressAllow },
    ...(config.dockerHost !== undefined && { dockerHost: config.dockerHost }),
  })
}

/** What it runs on. Errors: `ConfigError` with what to do when the runtime can't be used. */
export async function requireUsable(runtime: Runtime): Promise<Fingerprint> {
  const fingerprint = await runtime.fingerprint(patientSignal(fingerprintTimeoutMs))
  if (fingerprint.usable) return fingerprint
  throw new ConfigError(`The ${runtime.name} runtime can't be used: ${fingerprint.detail}`)
}
