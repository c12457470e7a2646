import { promisify } from 'node:util'
import { gzip as gzipCallback } from 'node:zlib'
import type { ConnectError } from '@connectrpc/connect'
import { codeToHttpStatus, errorToJsonBytes } from '@connectrpc/connect/protocol-connect'
import type { HttpRequest, HttpResponse } from '../../domain/http.ts'
import { chooseEncoding } from '../files/accept-encoding.ts'
import type { Codec } from './envelope.ts'

/** An answer shorter than this isn't compressed, in bytes. */
const gzipMinBytes = 1024

const gzip = promisify(gzipCallback)

/** Whether the client wants gzip. Most name it because they know it, not because they want it. */
export function wantsGzip(req: HttpRequest): boolean {
  return chooseEncoding(req.headers['accept-encoding']) === 'gzip'
}

export function contentTypeOf(codec: Codec): string {
  return `application/${codec}`
}

/** Answers with a message that is there as a whole. */
export async function sendReply(
  res: HttpResponse,
  { codec, bytes, isGzip }: { codec: Codec; bytes: Uint8Array; isGzip: boolean },
): Promise<void> {
  const isCompressed = isGzip && bytes.length >= gzipMinBytes
  const body = isCompressed ? await gzip(bytes) : bytes
  if (res.destroyed) return
  res.writeHead(200, {
    'content-type': contentTypeOf(codec),
    'content-length': body.length,
    ...(isCompressed && { 'content-encoding': 'gzip' }),
  })
  res.end(body)
}

/** Answers with an error; a response that has begun is cut, so that nobody takes it for a whole one. */
export function sendConnectError(res: HttpResponse, error: ConnectError): void {
  // What is complete stays as it is: whoever took the sandbox away has answered.
  if (res.destroyed || res.writableEnded) return
  if (res.headersSent) return void res.destroy()
  const body = errorToJsonBytes(error, undefined)
  res.writeHead(codeToHttpStatus(error.code), {
    ...Object.fromEntries(error.metadata),
    'content-type': 'application/json',
    'content-length': body.length,
  })
  res.end(body)
}
