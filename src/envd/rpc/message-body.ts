/** The bytes of a request's messages: bounded, counted, and without their compression. */
import { promisify } from 'node:util'
import { gunzip as gunzipCallback } from 'node:zlib'
import { Code, ConnectError } from '@connectrpc/connect'
import type { HttpRequest } from '../../domain/http.ts'
import { tooMuchAtOnce } from '../load.ts'
import type { RpcCall } from './rpc-call.ts'

/** The longest message of an RPC that sets no other limit, in bytes: two paths at their longest, whatever they are of. */
export const controlMaxBytes = 64 * 1024

/** The most that gzip makes of one byte. */
const inflationMax = 1032

const gunzip = promisify(gunzipCallback)

export type MessageCompression = 'identity' | 'gzip'

/** A header that names the compression of messages. Errors, as `ConnectError`: `unimplemented`. */
export function parseCompression(header: string | string[] | undefined): MessageCompression {
  if (header === undefined || header === '' || header === 'identity') return 'identity'
  if (header === 'gzip') return 'gzip'
  throw new ConnectError('Messages can be compressed with gzip only.', Code.Unimplemented)
}

/**
 * The whole body, of at most that many bytes. Errors, as `ConnectError`: `resource_exhausted` (too long), `canceled` (it
 * broke off); `resource_exhausted` where there is no room for it now.
 */
export function readBody(req: HttpRequest, call: RpcCall, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let length = 0
    let isWhole = false
    const refuse = (error: Error) => {
      req.off('data', onData)
      reject(error)
    }
    const onData = (chunk: Buffer) => {
      length += chunk.length
      if (length > maxBytes) refuse(tooLong(maxBytes))
      else if (!call.account.raise(length)) refuse(tooMuchAtOnce())
      else chunks.push(chunk)
    }
    req.on('data', onData)
    req.once('end', () => {
      isWhole = true
      resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks))
    })
    req.once('close', () => {
      if (!isWhole) reject(new ConnectError('The request broke off.', Code.Canceled))
    })
  })
}

/**
 * What was compressed with gzip. Errors, as `ConnectError`: `invalid_argument` (it isn't gzip), `resource_exhausted` (it
 * becomes longer than `maxBytes`); `resource_exhausted` where there is no room for it now.
 */
export async function decompress(bytes: Buffer, call: RpcCall, maxBytes: number): Promise<Buffer> {
  if (!call.account.raise(bytes.length + Math.min(maxBytes, bytes.length * inflationMax)))
    throw tooMuchAtOnce()
  try {
    return await gunzip(bytes, { maxOutputLength: maxBytes })
  } catch (thrown) {
    if ((thrown as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE') throw tooLong(maxBytes)
    throw new ConnectError('The message is not valid gzip.', Code.InvalidArgument)
  }
}

export function tooLong(maxBytes: number): ConnectError {
  return new ConnectError(`The message is longer than ${maxBytes} bytes.`, Code.ResourceExhausted)
}
