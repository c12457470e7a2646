/** Images that a Docker engine on this machine has. */
import { type IncomingMessage, request } from 'node:http'
import { ServerError } from '../domain/error.ts'

/** How long the engine may take for the next bytes, in milliseconds: it packs an image before it sends the first */
const quietMs = 120_000
const absent = ['ENOENT', 'ECONNREFUSED', 'EACCES', 'ENOTSOCK']

/**
 * The image as `docker save` gives it, or undefined where no engine answers at that socket or it has no such image. Errors:
 * `unavailable`, the signal's reason.
 */
export async function openEngineArchive(
  socketPath: string,
  image: string,
  signal: AbortSignal,
): Promise<IncomingMessage | undefined> {
  const answer = await ask(socketPath, `/images/${encodeURI(image)}/get`, signal)
  if (answer === undefined || answer.statusCode === 404) {
    answer?.destroy()
    return undefined
  }
  if (answer.statusCode === 200) return answer
  answer.destroy()
  throw new ServerError('unavailable', `The Docker engine does not give the image ${image} away.`, {
    cause: new Error(`It answered ${answer.statusCode}.`),
  })
}

/** Whether an engine answers at that socket and has the image. Errors: as `openEngineArchive`. */
export async function hasEngineImage(
  socketPath: string,
  image: string,
  signal: AbortSignal,
): Promise<boolean> {
  const answer = await ask(socketPath, `/images/${encodeURI(image)}/json`, signal)
  answer?.destroy()
  return answer?.statusCode === 200
}

function ask(socketPath: string, path: string, signal: AbortSignal): Promise<IncomingMessage | undefined> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, agent: false, signal, timeout: quietMs }, resolve)
    sent.on('timeout', () => sent.destroy(new Error('The Docker engine says nothing more.')))
    sent.on('error', (error: NodeJS.ErrnoException) => {
      if (signal.aborted) reject(signal.reason)
      else if (absent.includes(error.code ?? '')) resolve(undefined)
      else reject(new ServerError('unavailable', 'The Docker engine does not answer.', { cause: error }))
    })
    sent.end()
  })
}
