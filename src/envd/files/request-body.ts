/** The bodies of requests to `/files`. */
import type { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { ServerError } from '../../domain/error.ts'
import type { HttpRequest } from '../../domain/http.ts'
import type { ByteAccount } from '../../lib/byte-budget.ts'
import { checkJsonBounds, type JsonBounds } from '../../lib/json-bounds.ts'
import { tooMuchAtOnce } from '../load.ts'

/** The request's body without its `Content-Encoding`. Errors: `invalid_argument`. */
export function decodedBody(req: HttpRequest): Readable {
  const encoding = req.headers['content-encoding']?.trim().toLowerCase() ?? 'identity'
  if (encoding === 'identity' || encoding === '') return req
  if (encoding !== 'gzip')
    throw invalid(`The Content-Encoding '${encoding}' is not supported. Use gzip or none.`)
  const decoder = createGunzip()
  // Its reader is told of an error; one that comes once nobody reads any more must not end the program.
  decoder.on('error', () => {})
  req.on('error', (error) => decoder.destroy(error))
  return req.pipe(decoder)
}

/** What reading a body has thrown, as what its client is told. */
export function toBodyError(thrown: unknown): unknown {
  const isZlibError = thrown instanceof Error && 'code' in thrown && String(thrown.code).startsWith('Z_')
  return isZlibError ? invalid('The body is not valid gzip.', thrown) : thrown
}

export interface JsonLimits extends JsonBounds {
  /** Longest body, in bytes */
  maxBytes: number
  /** Where what is read is counted */
  account: ByteAccount
  /** Resolves when a step that is long enough to be felt may be made */
  turn(): Promise<void>
}

/**
 * The body as JSON within the limits, read in a turn of the event loop that leaves its caller the next. Errors:
 * `invalid_argument`, `resource_exhausted` (no room for it now); those of `turn`.
 */
export async function readJson(req: HttpRequest, limits: JsonLimits): Promise<unknown> {
  const { maxBytes, account, turn } = limits
  const chunks: Buffer[] = []
  let length = 0
  try {
    for await (const chunk of decodedBody(req).iterator({ destroyOnReturn: false })) {
      length += chunk.length
      if (length > maxBytes) throw invalid(`The body is longer than ${maxBytes} bytes.`)
      if (!account.raise(length)) throw tooMuchAtOnce()
      chunks.push(chunk)
    }
  } catch (thrown) {
    throw toBodyError(thrown)
  }
  await turn()
  const json = parse(Buffer.concat(chunks), limits)
  await turn()
  return json
}

function parse(text: Buffer, limits: JsonLimits): unknown {
  try {
    checkJsonBounds(text, limits)
    return JSON.parse(text.toString('utf8'))
  } catch (thrown) {
    throw invalid('The body is not valid JSON.', thrown)
  }
}

function invalid(message: string, cause?: unknown): ServerError {
  return new ServerError('invalid_argument', message, { cause })
}
