import type { Fingerprint, Runtime } from '../domain/runtime.ts'
import type { Store } from '../domain/store.ts'
import type { Log } from '../lib/log.ts'
import { patientSignal } from '../lib/patience.ts'
import { createDockerRuntime } from '../runtimes/docker/runtime.ts'
import { createProcessRuntime } from '../runtimes/process/runtime.ts'
import { type Config, ConfigError } from './config.ts'
import { requireGuestBinary, requireHostBinary } from './installation.ts'
import { createGvisor, createNative, type Look, registriesOf } from './native-runtime.ts'

/** How long an engine or helper may take to say what it is, in ms: a machine that has just booted is busy. */
const fingerprintTimeoutMs = 30_000

/** What `auto` tries, first to last. */
const autoOrder = ['native', 'docker'] as const

type RuntimeName = Exclude<Config['runtime'], 'auto'>

/** What a server's store says of it. */
export interface ServerState {
  instanceId: string
  runtimes: Awaited<ReturnType<Store['runtimes']>>
}

/** A runtime, and why it is this one where nobody has said so. */
export interface ChosenRuntime {
  runtime: Runtime
  why: string | undefined
}

/**
 * The runtime that is asked for; `auto` is the first that lacks nothing, else the first that is usable, never one without
 * isolation. Where the state directory has something of one, it is that, usable or not. `look`: only to look at it.
 */
export async function chooseRuntime(
  config: Config,
  state: ServerState,
  log: Log,
  look?: Look,
): Promise<ChosenRuntime> {
  const create = (name: RuntimeName) => createRuntime(name, config, { ...state, log, look })
  if (config.runtime !== 'auto') return { runtime: create(config.runtime), why: undefined }
  const bound = boundTo(state.runtimes)
  if (bound !== undefined) return { runtime: create(bound.name), why: bound.why }
  const reasons: string[] = []
  let nextBest: RuntimeName | undefined
  for (const name of autoOrder) {
    const runtime = create(name)
    const { usable, detail, lacks } = await runtime.fingerprint(patientSignal(fingerprintTimeoutMs))
    if (usable && lacks === undefined) return { runtime, why: [...reasons, detail].join(' ') }
    await runtime.close()
    if (usable) nextBest ??= name
    reasons.push(
      usable
        ? `The ${name} runtime lacks something: ${lacks}`
        : `The ${name} runtime can't be used: ${detail}`,
    )
  }
  // Elsewhere than on Linux only an engine can be had.
  const wanted = process.platform === 'linux' ? 'native' : 'docker'
  return { runtime: create(nextBest ?? wanted), why: reasons.join(' ') }
}

/** What `auto` has to go on with: no runtime can use another's sandboxes and images. */
function boundTo({
  sandboxes,
  builds,
}: ServerState['runtimes']): { name: RuntimeName; why: string } | undefined {
  for (const [what, names] of [
    ['sandboxes', sandboxes],
    ['templates', builds],
  ] as const) {
    // A server that has both comes from times when it was told which to use; Docker was first.
    const name = (['docker', 'native', 'gvisor'] as const).find((each) => names.includes(each))
    if (name !== undefined) {
      const others =
        name === 'docker' ? ' To change that, kill and delete them, or use another --state-dir.' : ''
      return { name, why: `The ${what} of this state directory are of the ${name} runtime.${others}` }
    }
  }
  return undefined
}

/** Touches nothing until it is used. */
function createRuntime(
  name: RuntimeName,
  config: Config,
  { instanceId, log, look }: { instanceId: string; log: Log; look: Look | undefined },
): Runtime {
  const shared = { guestBinary: requireGuestBinary(), instanceId, log }
  const { openEgress, egressAllow } = config
  const stateDir = look?.folder ?? config.stateDir
  if (name === 'native') return createNative(config, { ...shared, look })
  if (name === 'gvisor') return createGvisor(config, { ...shared, look })
  if (name === 'process') return createProcessRuntime({ ...shared, acknowledgeNoIsolation: true })
  return createDockerRuntime({
    ...shared,
    hostBinary: requireHostBinary(),
    stateDir,
    transport: config.dockerTransport,
    startConcurrency: config.maxStarting,
    registries: registriesOf(config),
    egress: openEgress ? { open: true } : { open: false, allow: egressAllow },
    ...(config.dockerHost !== undefined && { dockerHost: config.dockerHost }),
  })
}

/** What it runs on. Errors: `ConfigError` with what to do when the runtime can't be used, and why it is this one. */
export async function requireUsable(
  chosen: ChosenRuntime,
  config: Pick<Config, 'limitDisk'>,
): Promise<Fingerprint> {
  const fingerprint = await chosen.runtime.fingerprint(patientSignal(fingerprintTimeoutMs))
  const fault = faultOf(chosen, fingerprint, config)
  if (fault === undefined) return fingerprint
  throw new ConfigError(fault)
}

/** Why no server goes on with it, in sentences: it can't be used, or doesn't limit disks where it is to. Undefined: it can. */
export function faultOf(
  { runtime, why }: ChosenRuntime,
  fingerprint: Fingerprint,
  { limitDisk }: Pick<Config, 'limitDisk'>,
): string | undefined {
  if (!fingerprint.usable) return whyUnusable(runtime.name, fingerprint, why)
  if (limitDisk !== true || fingerprint.isolation?.['disk limits'] === true) return undefined
  const reason = fingerprint.sharedDisk ?? 'Its sandboxes share the disk.'
  const fault = `--limit-disk can't be had of the ${runtime.name} runtime: ${reason}`
  return why === undefined ? fault : `${fault} ${why}`
}

/** `why`: see `ChosenRuntime`. */
function whyUnusable(name: string, { detail }: Fingerprint, why: string | undefined): string {
  // Where none can be used it says all there is to say.
  if (why?.includes(detail)) return why
  return [`The ${name} runtime can't be used: ${detail}`, ...(why === undefined ? [] : [why])].join(' ')
}
