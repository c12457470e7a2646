/** The last phase of a build: its start command is tried, and has to become ready, as in every sandbox later. */
import { ServerError, toError } from '../domain/error.ts'
import { noDefaults, type SandboxDefaults } from '../domain/template-build.ts'
import type { BuildSpec } from '../domain/template-builder.ts'
import { configure } from '../guest/configure.ts'
import type { Guest } from '../guest/guest.ts'
import { metrics } from '../guest/metrics.ts'
import { runStartCommand, type StartCommand } from '../guest/start-command.ts'
import type { BuildContext } from './build-context.ts'
import { type BuildState, defaultsOf } from './build-state.ts'
import { imageSize } from './image-size.ts'
import { layerKey } from './layer-key.ts'
import { createOutputLines } from './output-lines.ts'
import { within } from './timeouts.ts'

/**
 * What a start command without a ready command is tried with (e2b-wire 4.3), and what the SDKs put beside a Dockerfile's CMD.
 * It looks at nothing, so it is the build's alone: each sandbox would take so long to start, as its start command runs anew.
 */
const defaultReadyCmd = 'sleep 20'
/** Of what a ready command says, shown when it never succeeds, in bytes. */
const saidMaxBytes = 1_000
const mebibyte = 2 ** 20
/** Most that a limited disk is made larger for a template, in MiB */
const largestDiskMb = 2 ** 20

export interface Outcome {
  image: string
  diskMb: number
  defaults: SandboxDefaults
}

/** Errors: `failed_precondition` (start or ready command), `resource_exhausted` (disk), those of the runtime. */
export async function finishBuild(
  context: BuildContext,
  spec: BuildSpec,
  state: BuildState,
  force: boolean,
): Promise<Outcome> {
  const inherited = 'build' in spec.from ? spec.from.build.defaults : noDefaults
  const startCmd = spec.startCmd ?? inherited.startCmd
  const said = spec.readyCmd ?? inherited.readyCmd
  const readyCmd = said === defaultReadyCmd ? null : said
  const diskMb = await ensureFreeDisk(context, spec.minFreeDiskMb)
  if (startCmd !== null || readyCmd !== null) await prove(context, state, { startCmd, readyCmd, force })
  return { image: context.bench.image(), diskMb, defaults: { ...defaultsOf(state), startCmd, readyCmd } }
}

/** What sandboxes ask for as their disk, so that so much of it is free. */
async function ensureFreeDisk(context: BuildContext, minFreeDiskMb: number | null): Promise<number> {
  const { parts, build, bench, log, signal } = context
  if (minFreeDiskMb === null || minFreeDiskMb === 0) return build.diskMb
  const { runtime } = parts
  // Each sandbox has a disk of its own then, which is made as large as is asked for.
  if (runtime.capabilities.diskLimit && minFreeDiskMb <= largestDiskMb) {
    return Math.max(build.diskMb, minFreeDiskMb)
  }
  const { diskTotal, diskUsed } = await metrics(await bench.guest(signal), signal)
  const freeMb = Math.floor((diskTotal - diskUsed) / mebibyte)
  if (freeMb < minFreeDiskMb) {
    const message = `${minFreeDiskMb} MiB of disk are to be free, and ${Math.max(0, freeMb)} MiB are.`
    throw new ServerError('resource_exhausted', message)
  }
  const text = `The runtime "${runtime.name}" does not limit disks: a sandbox has what the machine has, now ${freeMb} MiB.`
  log.write(`[finalize] ${text}`, 'warn')
  const usedMb = Math.ceil((await imageSize(runtime.images, bench.image(), signal)) / mebibyte)
  return Math.max(build.diskMb, usedMb + minFreeDiskMb)
}

/** One proof is enough for an image: it is kept like a layer that adds nothing. */
async function prove(
  context: BuildContext,
  state: BuildState,
  { force, ...commands }: StartCommand & { force: boolean },
): Promise<void> {
  const { parts, build, bench, cache, hold, log, signal } = context
  const image = bench.image()
  const proof = {
    teamId: build.teamId ?? '',
    key: layerKey(parts.runtime.name, { image, state, ...commands }),
  }
  if (!force && (await cache.find(proof, hold, signal)) !== undefined) {
    log.write('CACHED [finalize] Template is ready')
    return
  }
  const guest = await bench.guest(signal)
  let lastSaid = Buffer.alloc(0)
  const onReadyOutput = (bytes: Buffer) => {
    lastSaid = Buffer.concat([lastSaid, bytes]).subarray(-saidMaxBytes)
  }
  try {
    await within(parts.readyMs, 'Becoming ready', signal, (bounded) =>
      tryCommands(guest, state, commands, { log, onReadyOutput, signal: bounded }),
    )
  } catch (error) {
    throw withOutput(error, lastSaid.toString().trim())
  }
  log.write('[finalize] Template is ready')
  await cache.put(proof, { image, parent: null, sizeBytes: 0, defaults: defaultsOf(state) })
}

/** What the ready command said last, where it never succeeded. */
function withOutput(thrown: unknown, said: string): unknown {
  const { code, message } = toError(thrown)
  if (code !== 'deadline_exceeded' || said === '') return thrown
  return new ServerError(code, `${message} The ready command said last: ${said}`, { cause: thrown })
}

/** As the start of every sandbox does it. */
async function tryCommands(
  guest: Guest,
  { env, user, workdir }: BuildState,
  { startCmd, readyCmd }: StartCommand,
  {
    log,
    onReadyOutput,
    signal,
  }: Pick<BuildContext, 'log' | 'signal'> & { onReadyOutput: (bytes: Buffer) => void },
): Promise<void> {
  await configure(guest, { env, user, ...(workdir !== null && { workdir }) }, signal)
  const ready = readyCmd ?? defaultReadyCmd
  if (startCmd !== null) log.write(`[finalize] Running start command: ${startCmd}`)
  log.write(`[finalize] Waiting for the template to be ready: ${ready}`)
  const lines = { stdout: createOutputLines(), stderr: createOutputLines() }
  await runStartCommand(
    guest,
    { startCmd, readyCmd: ready },
    {
      signal,
      onOutput(command, stream, bytes) {
        if (command === 'ready') return onReadyOutput(bytes)
        for (const line of lines[stream].take(bytes)) void log.output(`[start] [${stream}]: ${line}`)
      },
    },
  )
}
