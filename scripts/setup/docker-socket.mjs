/** The few questions that the setup asks a Docker engine, over its HTTP API and without its command line. */
import { request } from 'node:http'
import { SetupError } from './setup-error.mjs'

const defaultSocket = '/var/run/docker.sock'

/**
 * Where the engine listens: `DOCKER_HOST`, else the usual socket. Errors: `SetupError` for an address that isn't
 * `unix://` or `tcp://`.
 *
 * @param {Record<string, string | undefined>} [env]
 * @returns {{ socketPath: string } | { host: string, port: number }}
 */
export function dockerEndpoint(env = process.env) {
  const address = env.DOCKER_HOST
  if (address === undefined || address === '') return { socketPath: defaultSocket }
  if (address.startsWith('unix://')) return { socketPath: address.slice('unix://'.length) }
  if (address.startsWith('tcp://') && URL.canParse(address)) {
    const { hostname, port } = new URL(address)
    return { host: hostname, port: Number(port || 2375) }
  }
  throw new SetupError(`DOCKER_HOST is "${address}", which the server can't use.`, {
    advice:
      'Set DOCKER_HOST to unix://<path> or tcp://<host>:<port>, or unset it to use the engine of this machine.',
  })
}

/**
 * Whether an engine answers: `up`, `forbidden` (it is there, but this user may not talk to it) or `down`.
 *
 * @param {ReturnType<typeof dockerEndpoint>} endpoint
 * @param {number} [timeoutMs]
 * @returns {Promise<'up' | 'forbidden' | 'down'>}
 */
export async function pingDocker(endpoint, timeoutMs = 2000) {
  try {
    return (await status(endpoint, '/_ping', timeoutMs)) === 200 ? 'up' : 'down'
  } catch (error) {
    return error.code === 'EACCES' ? 'forbidden' : 'down'
  }
}

/**
 * Whether the engine has an image. An engine that doesn't answer has none.
 *
 * @param {ReturnType<typeof dockerEndpoint>} endpoint
 * @param {string} name with its tag
 * @param {number} [timeoutMs]
 */
export async function hasImage(endpoint, name, timeoutMs = 5000) {
  try {
    return (await status(endpoint, `/images/${name}/json`, timeoutMs)) === 200
  } catch {
    return false
  }
}

/** The HTTP status of a GET. */
function status(endpoint, path, timeoutMs) {
  return new Promise((resolve, reject) => {
    const req = request(
      { ...endpoint, path, agent: false, signal: AbortSignal.timeout(timeoutMs) },
      (res) => {
        res.resume()
        resolve(res.statusCode)
      },
    )
    req.on('error', reject)
    req.end()
  })
}
