/** A sandbox is started, asked a few things and removed again. */
import { randomBytes } from 'node:crypto'
import { promises as dns } from 'node:dns'
import type { Check } from '../../cli/actions.ts'
import type { GuestHandle, Runtime } from '../../domain/runtime.ts'
import { exec } from '../../guest/exec.ts'
import { newSandboxId } from '../../lib/ids.ts'
import type { Config } from '../config.ts'
import { baseImage } from '../installation.ts'
import { check, type Finding, Trouble } from './check.ts'
import { type Closing, egressFinding, notTried, runningRules } from './egress.ts'
import { withRuntime } from './look.ts'
import type { Running } from './running.ts'
import { likeServer } from './server-state.ts'

/** How long a start, a command and the removal may take, each, in milliseconds. */
const stepMs = 30_000
/** Most that is read of what a command prints, in bytes */
const outputMaxBytes = 4096
/** What the base image must have, and a name that somebody has given an address */
const programs = ['python3', 'node', 'git', 'sudo']
const publicName = 'example.com'

export function lookAtSandbox(config: Config, running: Running | undefined): Promise<Check>[] {
  const tried = trySandbox(config)
  return [
    check('isolation', async () => (await tried).isolation),
    check('sandbox', async () => (await tried).started()),
    check('name resolution', async () => (await tried).names()),
    check('egress rules', async () =>
      egressFinding(
        config,
        (await tried).closing(),
        await runningRules(config, (await tried).runtime, running),
      ),
    ),
  ]
}

interface Tried {
  /** Name of the runtime */
  runtime: string
  isolation: Finding
  started(): Finding
  names(): Finding
  /** What came of closing it */
  closing(): Closing
}

/** Never rejects but for what makes every sandbox impossible. */
function trySandbox(config: Config): Promise<Tried> {
  // An id of its own: a running server must not take the sandbox for a remainder of its own.
  const state = likeServer(config.stateDir, `doctor${randomBytes(5).toString('hex')}`)
  return withRuntime(config, state, async ({ runtime }) => {
    const { name } = runtime
    const { isolation, usable, detail } = await runtime.fingerprint(AbortSignal.timeout(stepMs))
    if (!usable) throw new Trouble(detail, 'The line "runtime" has what to do.')
    const outcome = await startAndAsk(runtime).catch((error: Error) => error)
    const known = () => {
      if (!(outcome instanceof Error)) return outcome
      throw new Trouble(`No sandbox starts: ${outcome.message}`, 'The log of the engine may say more.')
    }
    return {
      runtime: name,
      isolation: isolationFinding(isolation),
      started: () => (known() === undefined ? notTried : programsFinding(known()!.missing)),
      names: () =>
        known() === undefined ? notTried : namesFinding(known()!.resolves, known()!.resolvesHere),
      closing: () => known()?.closing ?? 'not tried',
    }
  })
}

/** Undefined where the image would have to be taken in first. */
async function startAndAsk(runtime: Runtime) {
  const image = baseImage()
  const { isolation } = runtime.capabilities
  if (isolation && image === undefined) throw new Error('the image of template "base" is missing.')
  const isMissing = async () =>
    (await runtime.images.inspect(image ?? '', AbortSignal.timeout(stepMs))) === undefined
  if ((runtime.name === 'native' || runtime.name === 'gvisor') && (await isMissing())) return undefined
  const spec = {
    image: image ?? 'base',
    cpuCount: 1,
    memoryMb: 128,
    diskMb: 1024,
    hostname: 'doctor',
    egress: 'open',
  } as const
  const handle = await runtime.start({ ...spec, sandboxId: newSandboxId() }, AbortSignal.timeout(stepMs))
  try {
    const shell = (script: string) => output(runtime, handle, script)
    const wanted = isolation ? programs : []
    const look = wanted.map((name) => `command -v ${name} >/dev/null || echo ${name}`).join('; ')
    const [missing, address, resolvesHere] = await Promise.all([
      shell(look),
      shell(`getent hosts ${publicName}`),
      dns.lookup(publicName).then(
        () => true,
        () => false,
      ),
    ])
    const closing = await close(runtime, handle)
    return { missing: missing.split('\n').filter(Boolean), resolves: address !== '', resolvesHere, closing }
  } finally {
    await runtime.destroy(handle, AbortSignal.timeout(stepMs))
  }
}

/** Closes it and tries whether it is: where names are answered, in the container or outside of it. */
async function close(runtime: Runtime, handle: GuestHandle): Promise<Closing> {
  if (runtime.capabilities.egressPolicy === 'none') return 'no such power'
  try {
    await runtime.setEgress(handle, 'closed', AbortSignal.timeout(stepMs))
    const server = "$(awk '/^nameserver/ { print $2; exit }' /etc/resolv.conf)"
    const look = `timeout 5 bash -c "exec 3<>/dev/tcp/${server}/53" 2>/dev/null && echo open || echo closed`
    return (await output(runtime, handle, look)).trim() === 'closed' ? 'closed' : 'still open'
  } catch (error) {
    return error as Error
  }
}

async function output(runtime: Runtime, handle: GuestHandle, script: string): Promise<string> {
  const signal = AbortSignal.timeout(stepMs)
  const guest = { connect: (until: AbortSignal) => runtime.connect(handle, until) }
  const request = { cmd: '/bin/sh', args: ['-c', script], env: {}, stdin: false, timeoutMs: stepMs }
  const { events } = await exec(guest, request, signal)
  let text = ''
  for await (const event of events) {
    if (event.type === 'end') break
    if (event.type === 'stdout' && text.length < outputMaxBytes) text += event.bytes.toString()
  }
  return text.slice(0, outputMaxBytes)
}

function isolationFinding(isolation: Record<string, boolean> = {}): Finding {
  const names = Object.keys(isolation)
  const present = names.filter((name) => isolation[name])
  const absent = names.filter((name) => !isolation[name])
  if (names.length === 0) {
    const remedy = 'Use the Docker runtime for code that you do not trust.'
    return { detail: 'none: sandboxes are processes of this machine', state: 'warn', remedy }
  }
  return { detail: `${list(present)}; not here: ${list(absent)}` }
}

function programsFinding(missing: string[]): Finding {
  if (missing.length === 0) return { detail: `the base image starts and has ${programs.join(', ')}` }
  throw new Trouble(`The base image has no ${missing.join(', ')}.`, 'Run "npm start", which builds it anew.')
}

function namesFinding(inside: boolean, here: boolean): Finding {
  if (inside) return { detail: `sandboxes find ${publicName}` }
  if (!here) return { detail: `neither this machine nor sandboxes find ${publicName}`, state: 'warn' }
  throw new Trouble(
    `Sandboxes do not find ${publicName}, this machine does.`,
    'The engine needs a resolver that containers reach: "dns" in /etc/docker/daemon.json, then restart it.',
  )
}

function list(names: string[]): string {
  return names.length === 0 ? 'nothing' : names.join(', ')
}
