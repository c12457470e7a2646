/** The few questions that the setup asks a Docker engine, over its HTTP API and without its command line. */
import { createReadStream, createWriteStream, renameSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { SetupError } from './setup-error.mjs'

const defaultSocket = '/var/run/docker.sock'
/** How long the engine may take to give an image away, or to take one in, in milliseconds */
const transferTimeoutMs = 5 * 60_000

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

/**
 * Writes an image of the engine to a file, as `docker save` does. False where there is no such image, or none that can be had:
 * then there is no such file either.
 *
 * @param {ReturnType<typeof dockerEndpoint>} endpoint
 * @param {string} name with its tag
 * @param {string} file
 */
export async function saveImage(endpoint, name, file) {
  if (!(await hasImage(endpoint, name))) return false
  const draft = `${file}.${process.pid}`
  try {
    const answer = await get(endpoint, `/images/${name}/get`, transferTimeoutMs)
    if (answer.statusCode !== 200) {
      answer.destroy()
      return false
    }
    await pipeline(answer, createWriteStream(draft))
    renameSync(draft, file)
    return true
  } catch {
    return false
  } finally {
    rmSync(draft, { force: true })
  }
}

/**
 * Has the engine take an image in from a file of `docker save`. Whether it has it then.
 *
 * @param {ReturnType<typeof dockerEndpoint>} endpoint
 * @param {string} name with its tag
 * @param {string} file
 */
export async function loadImage(endpoint, name, file) {
  const headers = { 'content-type': 'application/x-tar' }
  const signal = AbortSignal.timeout(transferTimeoutMs)
  try {
    await new Promise((resolve, reject) => {
      const options = {
        ...endpoint,
        method: 'POST',
        path: '/images/load?quiet=1',
        headers,
        agent: false,
        signal,
      }
      const req = request(options, (answer) => answer.on('end', resolve).on('error', reject).resume())
      req.on('error', reject)
      pipeline(createReadStream(file), req).catch(reject)
    })
  } catch {
    return false
  }
  return hasImage(endpoint, name)
}

/** The HTTP status of a GET. */
async function status(endpoint, path, timeoutMs) {
  const answer = await get(endpoint, path, timeoutMs)
  answer.resume()
  return answer.statusCode
}

/** `timeoutMs`: for all of it */
function get(endpoint, path, timeoutMs) {
  return new Promise((resolve, reject) => {
    const req = request({ ...endpoint, path, agent: false, signal: AbortSignal.timeout(timeoutMs) }, resolve)
    req.on('error', reject)
    req.end()
  })
}
