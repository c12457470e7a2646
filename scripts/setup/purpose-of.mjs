import { dockerEndpoint, pingDocker } from './docker-socket.mjs'
import { findProgram } from './find-program.mjs'

/** What a server needs for its runtime, where that is said. */
const purposes = new Map([
  ['process', 'local'],
  ['native', 'native'],
  ['docker', 'docker'],
])

/**
 * What the setup has to prepare for a command line of `e2b-server`: the whole machine for `start`, and for `bench`
 * where that starts servers of its own; only the program itself for the others and for help. Docker is made use of where it is,
 * and never installed for a server that nobody has told to use it.
 *
 * @param {string[]} args without node and the script
 * @param {Record<string, string | undefined>} env
 * @param {(env: Record<string, string | undefined>) => Promise<boolean>} [hasDocker]
 * @returns {Promise<string>} one of `purposes` in steps.mjs
 */
export async function purposeOf(args, env, hasDocker = isDockerHere) {
  const asksOnly = args.some((arg) => ['-h', '--help', '-V', '--version'].includes(arg))
  const measures = args[0] === 'bench' && !args.some((arg) => /^--url(=|$)/.test(arg))
  if (asksOnly || !(args[0] === 'start' || measures)) return 'cli'
  const said = purposes.get(runtimeOf(args, env))
  // What is measured is measured beside Docker, where that is.
  if (said !== undefined && !(measures && said === 'native')) return said
  return (await hasDocker(env)) ? 'docker' : 'native'
}

/** Whether an engine answers, or is installed and can be started. Nothing else runs sandboxes where there is no Linux. */
async function isDockerHere(env) {
  if (process.platform !== 'linux' || env.DOCKER_HOST) return true
  return (await pingDocker(dockerEndpoint(env))) !== 'down' || findProgram('dockerd') !== undefined
}

/** The value of `--runtime`, else of its variable. */
function runtimeOf(args, env) {
  for (const [index, arg] of args.entries()) {
    if (arg.startsWith('--runtime=')) return arg.slice('--runtime='.length)
    if (arg === '--runtime') return args[index + 1]
  }
  return env.E2B_SERVER_RUNTIME
}
