/** What the machine must have, whether the server runs or not. */
import { accessSync, constants, existsSync, statfsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Check } from '../../cli/actions.ts'
import type { Config } from '../config.ts'
import { baseImage, guestBinary, programFile, programVersion } from '../installation.ts'
import { isBaseProvided } from '../native-runtime.ts'
import { readAuthorities } from '../open-provision.ts'
import { faultOf } from '../runtimes.ts'
import { prepareStateDir, readIfThere } from '../state-dir.ts'
import { check, type Finding, lookTimeoutMs, Trouble } from './check.ts'
import { withRuntime } from './look.ts'
import { likeServer, readServerState } from './server-state.ts'

const oldestNode = [20, 19] as const
/** Free space on the disk of the state directory, in bytes: too little to go on with, and little. */
const diskMinBytes = 2 ** 29
const diskLowBytes = 4 * 2 ** 30
const controllers = ['cpu', 'memory', 'pids']
const cgroupRoot = '/sys/fs/cgroup'
const build = 'Run "npm start", which builds it.'
const withoutLimit = 'Start it without --limit-disk, or with --runtime native where disks can be limited.'

export function lookAtMachine(config: Config): Promise<Check>[] {
  return [
    check('versions', async () => versions()),
    check('clock', async () => clock()),
    check('state directory', async () => {
      prepareStateDir(config.stateDir)
      accessSync(config.stateDir, constants.W_OK)
      return config.stateDir
    }),
    check('disk', async () => disk(config.stateDir)),
    check('cgroups', async () => cgroups()),
    check('guest agent', async () => {
      try {
        accessSync(guestBinary(), constants.X_OK)
      } catch {
        throw new Trouble(`${guestBinary()} is missing.`, build)
      }
      return guestBinary()
    }),
    check('runtime', () => runtime(config)),
    ...(config.sandboxCa === undefined
      ? []
      : [check('authorities', async () => authorities(config.sandboxCa))]),
  ]
}

/** Whom sandboxes are told to trust. */
function authorities(file = ''): Finding {
  const { certificates } = readAuthorities(file)
  const ends = certificates.map(({ validTo }) => new Date(validTo)).sort((one, other) => +one - +other)
  const over = ends.filter((end) => +end < Date.now()).length
  const detail = `sandboxes trust ${certificates.length} more from ${file}`
  if (over === 0) return { detail: `${detail}, until ${ends[0]?.toISOString().slice(0, 10)} at least` }
  return {
    detail: `${detail}, ${over} of them expired`,
    state: 'warn',
    remedy: 'Put new ones into the file.',
  }
}

function versions(): string {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const text = `e2b-server ${programVersion()}, Node.js ${process.versions.node}`
  const isOld = major < oldestNode[0] || (major === oldestNode[0] && minor < oldestNode[1])
  if (isOld) throw new Trouble(text, `Install Node.js ${oldestNode.join('.')} or newer.`)
  return text
}

/** Deadlines and certificates go by the clock. Before the program was made it can't be. */
function clock(): string {
  const madeAt = statSync(programFile()).mtimeMs
  const now = new Date().toISOString()
  if (Date.now() >= madeAt) return now
  throw new Trouble(
    `${now} is before this program was installed.`,
    'Set the clock, e.g. "timedatectl set-ntp true".',
  )
}

function disk(stateDir: string): Finding {
  const { bavail, bsize } = statfsSync(stateDir)
  const detail = `${((bavail * bsize) / 2 ** 30).toFixed(1)} GiB free for ${stateDir}`
  const remedy = 'Free some space, or choose another disk with --state-dir.'
  if (bavail * bsize < diskMinBytes) throw new Trouble(detail, remedy)
  return bavail * bsize < diskLowBytes ? { detail, state: 'warn', remedy } : { detail }
}

/** What limits of sandboxes are made of. */
function cgroups(): string {
  const unified = readIfThere(join(cgroupRoot, 'cgroup.controllers'))
  const has = (name: string) =>
    unified === undefined ? existsSync(join(cgroupRoot, name)) : unified.trim().split(' ').includes(name)
  const missing = controllers.filter((name) => !has(name))
  const version = unified === undefined ? 'version 1' : 'version 2'
  if (missing.length === 0) return `${version} with ${controllers.join(', ')}`
  throw new Trouble(
    `${version} without ${missing.join(', ')}: sandboxes can't be limited.`,
    'Boot the kernel with "systemd.unified_cgroup_hierarchy=1" and without "cgroup_disable".',
  )
}

async function runtime(config: Config): Promise<string> {
  const { stateDir } = config
  const state = readServerState(stateDir) ?? likeServer(stateDir, 'doctor')
  return withRuntime(config, state, async ({ runtime: made, why }) => {
    const signal = () => AbortSignal.timeout(lookTimeoutMs)
    const fingerprint = await made.fingerprint(signal())
    const fault = faultOf({ runtime: made, why }, fingerprint, config)
    if (fault !== undefined) throw new Trouble(fault, fingerprint.usable ? withoutLimit : remedyOf(made.name))
    const image = baseImage()
    const isThere = async () =>
      image !== undefined &&
      ((await made.images.inspect(image, signal())) !== undefined ||
        (isOfHelper(made.name) && (await isBaseProvided(config, signal()))))
    if (made.capabilities.isolation && !(await isThere()))
      throw new Trouble('The image of template "base" is missing.', build)
    const list = Object.entries(fingerprint.versions).map((pair) => pair.join(' '))
    const text = `${made.name}${list.length > 0 ? ` (${list.join(', ')})` : ''}`
    const more = [why, fingerprint.sharedDisk].filter((part) => part !== undefined)
    return more.length === 0 ? text : `${text}. ${more.join(' ')}`
  })
}

/** Whether its base image is taken in with the first sandbox. */
function isOfHelper(runtime: string): boolean {
  return runtime === 'native' || runtime === 'gvisor'
}

function remedyOf(runtime: string): string {
  if (runtime === 'gvisor')
    return 'Run the server as root, and "node scripts/setup.mjs gvisor", which gets runsc: docs/runtimes.md.'
  if (runtime === 'native')
    return 'Run the server as root, or start its helper: README.md, "As an ordinary user".'
  return 'Start the engine, e.g. "systemctl start docker", or see "docker info".'
}
