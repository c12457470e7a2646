/**
 * Makes any image one that sandboxes can be of: bash, the account `user` with sudo, certificates, and what ready commands
 * use. What an image lacks comes from its own package manager or, where that can't give it, from what we bring along.
 */
import { createHash } from 'node:crypto'
import { ServerError } from '../domain/error.ts'
import { ensureUser } from '../guest/ensure-user.ts'
import { exec } from '../guest/exec.ts'
import type { Guest } from '../guest/guest.ts'
import type { ProcessExit } from '../guest/process-stream.ts'
import { stat } from '../guest/stat.ts'
import type { Provision } from './build-context.ts'
import { bringTools, type ImageTools } from './image-tools.ts'
import { installScript, lookScript, noManager } from './provision-scripts.ts'
import { type CommandOptions, follow } from './run-command.ts'
import type { Authorities } from './trust-authorities.ts'

/** Whom steps and sandboxes run as where nothing else is said */
const account = 'user'
const shell = '/bin/sh'
/** What a sandbox can't do without, and what is good to have. The words of `lookScript`. */
const needed = ['bash']
const wanted = ['sudo', 'certificates']
/** What we bring where the image's package manager doesn't */
const brought = [...needed, ...wanted, 'ss', 'pgrep']
/** Exit statuses of a program that can't be run, or isn't there */
const unrunnable = [126, 127]
const nothingToBring =
  'there are no programs that could be brought along (build/image-tools.tar, which "npm start" makes)'

export interface ProvisionOptions {
  /** Whom images are to trust besides whom they do */
  authorities?: Authorities | undefined
  /** Variables for the package manager */
  env?: Record<string, string>
  /** Absent where setup could not get them */
  tools?: ImageTools | undefined
}

type Options = CommandOptions & Required<Pick<ProvisionOptions, 'env'>> & Pick<ProvisionOptions, 'tools'>

/** Costs one command and one question where an image has everything, and there are no authorities. */
export function createProvision({ authorities, env = {}, tools }: ProvisionOptions = {}): Provision {
  const hash = createHash('sha256').update(lookScript).update(installScript)
  if (authorities !== undefined) hash.update(authorities.version)
  if (tools !== undefined) hash.update(tools.version)
  return {
    version: hash.digest('hex').slice(0, 12),
    run: (guest, options) => provision(guest, authorities, { ...options, env, tools }),
  }
}

async function provision(
  guest: Guest,
  authorities: Authorities | undefined,
  options: Options,
): Promise<Record<string, string>> {
  if (!(await hasShell(guest, options.signal))) {
    if (options.tools === undefined) throw unusable(`it has no shell (${shell}), and ${nothingToBring}`)
    await bringTools(guest, options.tools, options)
  }
  const missing = await look(guest, options)
  await authorities?.trust(guest, 'first', options)
  if (missing.length > 0) await provide(guest, missing, options)
  const made = await ensureUser(guest, { name: account, sudo: true }, options.signal)
  if (made.uid === 0) throw unusable(`its account "${account}" is root`)
  return (await authorities?.trust(guest, 'last', options)) ?? {}
}

/** Errors: `failed_precondition` where there is no bash to be had. */
async function provide(guest: Guest, missing: string[], options: Options): Promise<void> {
  const { tools, onLine } = options
  const why = await install(guest, missing, options)
  let left = await look(guest, options)
  const isBrought = tools !== undefined && left.some((word) => brought.includes(word))
  if (isBrought) {
    await bringTools(guest, tools, options)
    left = await look(guest, options)
  }
  if (left.length === 0) return
  if (left.some((word) => needed.includes(word))) {
    throw unusable(`it has no bash, ${why}, and ${isBrought ? 'ours could not be added' : nothingToBring}`)
  }
  await onLine?.('stderr', `The image is used without ${left.join(', ')}: ${why}.`)
}

/** What the image lacks. Errors: `failed_precondition` for one whose shell can't be run. */
async function look(guest: Guest, options: Options): Promise<string[]> {
  const words: string[] = []
  const said: string[] = []
  const exit = await run(guest, lookScript, [], {
    ...options,
    onLine: (stream, line) => void (stream === 'stdout' ? words : said).push(line),
  })
  if (unrunnable.includes(exit.exitCode)) {
    throw unusable("its shell can't be run here: it is for another kind of CPU, or damaged")
  }
  if (exit.exitCode !== 0)
    throw unusable(`looking at it failed (${exit.status}): ${said.at(-1) ?? 'no output'}`)
  return words
}

async function hasShell(guest: Guest, signal: AbortSignal): Promise<boolean> {
  try {
    await stat(guest, { path: shell, user: 'root' }, signal)
    return true
  } catch (error) {
    if (error instanceof ServerError && error.code === 'not_found') return false
    throw error
  }
}

/** Has the image's package manager install what is missing. Returns why some of it may still be. */
async function install(guest: Guest, missing: string[], options: Options): Promise<string> {
  let exit = await run(guest, installScript, missing, options)
  if (exit.exitCode === noManager) {
    return 'the image has no package manager that is known here (apt-get, dnf, yum, apk, pacman, zypper)'
  }
  const must = missing.filter((word) => needed.includes(word) || wanted.includes(word))
  // One package that a distribution doesn't have must not keep out the others.
  if (exit.exitCode !== 0 && must.length > 0 && must.length < missing.length) {
    exit = await run(guest, installScript, must, options)
  }
  return `its package manager could not install it (${exit.status})`
}

async function run(
  guest: Guest,
  script: string,
  args: string[],
  { signal, onLine, env }: Options,
): Promise<ProcessExit> {
  const request = {
    cmd: shell,
    args: ['-c', script, 'sh', ...args],
    env,
    cwd: '/',
    user: 'root',
    stdin: false,
  }
  return follow(await exec(guest, request, signal), onLine)
}

function unusable(why: string): ServerError {
  return new ServerError('failed_precondition', `The image can't be used for sandboxes: ${why}.`)
}
