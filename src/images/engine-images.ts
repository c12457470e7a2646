/**
 * Images that a Docker engine on this machine has. Asked without its client library, whose `get` of an image can't be given up: an
 * engine packs all of it before it sends the first byte.
 */
import { type IncomingMessage, request } from 'node:http'
import { z } from 'zod'
import { ServerError } from '../domain/error.ts'
import { isImageName, withTag } from './names.ts'
import { textOf } from './registry-client.ts'

/** How long the engine may take for the next bytes of an image, and for an answer about one, in milliseconds */
const quietMs = 120_000
const answerMs = 10_000
/** Longest answer about an image, in bytes */
const answerMaxBytes = 4 << 20
const absent = ['ENOENT', 'ECONNREFUSED', 'EACCES', 'ENOTSOCK']
/** What a server has made of a guest, as the Docker runtime says it: its team's, whoever may know its name */
const madeLabel = 'e2b-server.instance'

export interface EngineImages {
  /**
   * The id of the image that the engine has by exactly that name; undefined where it has none, where it is another server's work, or
   * where no engine answers at that socket. Digests and ids aren't asked for. Errors: `unavailable`, the signal's reason.
   */
  find(image: string, signal: AbortSignal): Promise<string | undefined>
  /**
   * The image of that name or id as `docker save` gives it, or undefined as for `find`, but that of another server is given too.
   * Errors: as `find`.
   */
  open(image: string, signal: AbortSignal): Promise<IncomingMessage | undefined>
}

const about = z.object({
  Id: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  RepoTags: z.array(z.string()).nullish(),
  Config: z.object({ Labels: z.record(z.string(), z.string()).nullish() }).nullish(),
})

export function createEngineImages(socketPath: string): EngineImages {
  /** An answer with status 200. */
  const get = async (image: string, what: 'json' | 'get', timeoutMs: number, signal: AbortSignal) => {
    const answer = await ask(socketPath, `/images/${encodeURI(image)}/${what}`, timeoutMs, signal)
    if (answer?.statusCode === 200) return answer
    answer?.destroy()
    if (answer === undefined || answer.statusCode === 404) return undefined
    throw new ServerError('unavailable', `The Docker engine does not give the image ${image} away.`, {
      cause: new Error(`It answered ${answer.statusCode}.`),
    })
  }
  return {
    async find(image, signal) {
      // A path of another kind is another question.
      if (!isImageName(image) || image.includes('@') || /(^|\/)\.{0,2}(\/|$)/.test(image)) return undefined
      const answer = await get(image, 'json', answerMs, signal)
      if (answer === undefined) return undefined
      const { Id, RepoTags, Config } = await readAbout(answer, signal)
      const isNamed = (RepoTags ?? []).some((tag) => nameAtHome(tag) === nameAtHome(image))
      return isNamed && !Config?.Labels?.[madeLabel] ? Id : undefined
    },
    open: (image, signal) => get(image, 'get', quietMs, signal),
  }
}

async function readAbout(answer: IncomingMessage, signal: AbortSignal): Promise<z.infer<typeof about>> {
  try {
    return about.parse(JSON.parse(await textOf(answer, answerMaxBytes)))
  } catch (error) {
    signal.throwIfAborted()
    throw silent(error)
  }
}

/** One form of all that mean the same, as engines show it. */
function nameAtHome(image: string): string {
  const path = withTag(image).replace(/^(index\.)?docker\.io\//, '')
  return path.replace(/^library\/(?=[^/]*$)/, '')
}

function ask(
  socketPath: string,
  path: string,
  timeout: number,
  signal: AbortSignal,
): Promise<IncomingMessage | undefined> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, agent: false, signal, timeout }, resolve)
    sent.on('timeout', () => sent.destroy(new Error('The Docker engine says nothing more.')))
    sent.on('error', (error: NodeJS.ErrnoException) => {
      if (signal.aborted) reject(signal.reason)
      else if (absent.includes(error.code ?? '')) resolve(undefined)
      else reject(silent(error))
    })
    sent.end()
  })
}

function silent(cause: unknown): ServerError {
  return new ServerError('unavailable', 'The Docker engine does not answer.', { cause })
}
