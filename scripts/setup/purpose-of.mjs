import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { dockerEndpoint, pingDocker } from './docker-socket.mjs'
import { findProgram } from './find-program.mjs'

/** What a server needs for its runtime, where that is said. */
const purposes = new Map([
  ['process', 'local'],
  ['native', 'native'],
  ['gvisor', 'gvisor'],
  ['docker', 'docker'],
])

/**
 * What the setup has to prepare for a command line of `e2b-server`: the whole machine for `start`, and for `bench`
 * where that starts servers of its own; only the program itself for the others and for help. Docker is made use of where it
 * answers, started where the server has had sandboxes of it, and never installed for a server that nobody has told to use it.
 *
 * @param {string[]} args without node and the script
 * @param {Record<string, string | undefined>} env
 * @param {(env: Record<string, string | undefined>, isWorthStarting: boolean) => Promise<boolean>} [hasDocker]
 * @returns {Promise<string>} one of `purposes` in steps.mjs
 */
export async function purposeOf(args, env, hasDocker = isDockerHere) {
  const asksOnly = args.some((arg) => ['-h', '--help', '-V', '--version'].includes(arg))
  const measures = args[0] === 'bench' && !args.some((arg) => /^--url(=|$)/.test(arg))
  if (asksOnly || !(args[0] === 'start' || measures)) return 'cli'
  const said = purposes.get(runtimeOf(args, env))
  // What is measured is measured beside Docker, where that is.
  if (said !== undefined && !(measures && said === 'native')) return said
  return (await hasDocker(env, measures || hasHadContainers(args, env))) ? 'docker' : 'native'
}

async function isDockerHere(env, isWorthStarting) {
  // Nothing else runs sandboxes where there is no Linux; who names an engine wants it.
  if (process.platform !== 'linux' || env.DOCKER_HOST) return true
  const state = await pingDocker(dockerEndpoint(env))
  const has = (name) => findProgram(name) !== undefined
  return isWorthUsing({ state, isWorthStarting, hasEngine: has('dockerd'), hasCommand: has('docker') })
}

/**
 * Whether an engine answers or, where one is worth starting, runs or is installed. An engine whose command line is missing, which
 * makes the base image for it, is left alone by a server that can do without: nothing is installed for that.
 *
 * @param {object} found
 * @param {string} found.state as `pingDocker` says it
 * @param {boolean} found.isWorthStarting whether to start, or complete, what is installed
 * @param {boolean} found.hasEngine
 * @param {boolean} found.hasCommand
 */
export function isWorthUsing({ state, isWorthStarting, hasEngine, hasCommand }) {
  if (isWorthStarting) return state !== 'down' || hasEngine
  return state === 'up' && hasCommand
}

/** Whether the server of that state directory has made containers: it goes on with Docker while it has any, or templates of them. */
function hasHadContainers(args, env) {
  const usual =
    process.getuid?.() === 0
      ? '/var/lib/e2b-server'
      : join(env.XDG_STATE_HOME ?? join(homedir(), '.local', 'state'), 'e2b-server')
  // As src/runtimes/docker/run-dir.ts has it.
  return existsSync(join(givenBy('--state-dir', args) || env.E2B_SERVER_STATE_DIR || usual, 'run'))
}

/** The value of `--runtime`, else of its variable. */
function runtimeOf(args, env) {
  return givenBy('--runtime', args) ?? env.E2B_SERVER_RUNTIME
}

/** Undefined where the flag isn't given. */
function givenBy(flag, args) {
  for (const [index, arg] of args.entries()) {
    if (arg.startsWith(`${flag}=`)) return arg.slice(`${flag}=`.length)
    if (arg === flag) return args[index + 1]
  }
  return undefined
}
