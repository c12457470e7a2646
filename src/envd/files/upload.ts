/** POST /files (e2b-wire 3.5). */
import type { IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { ServerError } from '../../domain/error.ts'
import { type WrittenFile, write } from '../../guest/write.ts'
import { sendJson } from '../respond.ts'
import { type FileRequest, userOf } from './file-request.ts'
import { readForm } from './form.ts'
import { parseMetadata } from './metadata-headers.ts'

/** A file as an upload's response lists it. */
interface Uploaded {
  name: string
  path: string
  type: 'file'
  /** Absent when empty */
  metadata?: Record<string, string>
}

/** How long the rest of a refused upload is read and dropped, so that its client sees the refusal, in milliseconds. */
const drainTimeoutMs = 10_000

/** Writes the files of a request and lists them. Errors: `invalid_argument`; those of `guest/write.ts`. */
export async function upload(request: FileRequest): Promise<void> {
  const { req, res } = request
  try {
    const uploaded = await writeFiles(request)
    sendJson(res, 200, uploaded)
  } finally {
    drain(req)
  }
}

async function writeFiles(request: FileRequest): Promise<Uploaded[]> {
  const { req, query } = request
  const contentType = req.headers['content-type'] ?? ''
  const mediaType = contentType.split(';', 1)[0]?.trim().toLowerCase()
  const writeFile = createWriter(request)
  const path = query.get('path') ?? undefined
  if (mediaType === 'application/octet-stream') {
    if (path === undefined || path === '') throw invalid('The query has no path: say where to write.')
    return [await writeFile(path, decode(req))]
  }
  if (mediaType !== 'multipart/form-data') {
    throw invalid('Send files as multipart/form-data or application/octet-stream.')
  }
  const uploaded: Uploaded[] = []
  await readForm(decode(req), contentType, async ({ filename, bytes }) => {
    const destination = path || filename
    if (!destination)
      throw invalid('A file has no name: say in its filename, or in the query, where to write.')
    uploaded.push(await writeFile(destination, bytes))
  })
  if (uploaded.length === 0) throw invalid("The form has no file. Send files in fields named 'file'.")
  return uploaded
}

/** Writes one file after the other, never two to one place. */
function createWriter({ target, req, query, scope }: FileRequest) {
  const metadata = parseMetadata(req.headers)
  const user = userOf(query)
  const written = new Set<string>()
  return async (path: string, bytes: Readable): Promise<Uploaded> => {
    const onOpen = (resolved: string) => {
      if (written.has(resolved)) throw invalid(`The request has two files for '${resolved}'.`)
      written.add(resolved)
    }
    if (written.has(path)) onOpen(path)
    const request = { path, ...user, ...(Object.keys(metadata).length === 0 ? {} : { metadata }), onOpen }
    const file = await write(target.guest, request, bytes, scope.signal).catch((thrown) => {
      throw badGzip(thrown) ?? thrown
    })
    written.add(path)
    return present(file)
  }
}

function present({ path, entry }: WrittenFile): Uploaded {
  const name = path.slice(path.lastIndexOf('/') + 1)
  const { metadata } = entry
  return { name, path, type: 'file', ...(Object.keys(metadata).length === 0 ? {} : { metadata }) }
}

/** The request's body without its `Content-Encoding`. Errors: `invalid_argument`. */
function decode(req: IncomingMessage): Readable {
  const encoding = req.headers['content-encoding']?.trim().toLowerCase() ?? 'identity'
  if (encoding === 'identity' || encoding === '') return req
  if (encoding !== 'gzip')
    throw invalid(`The Content-Encoding '${encoding}' is not supported. Use gzip or none.`)
  const decoder = createGunzip()
  req.on('error', (error) => decoder.destroy(error))
  return req.pipe(decoder)
}

function badGzip(thrown: unknown): ServerError | undefined {
  const isZlibError = thrown instanceof Error && 'code' in thrown && String(thrown.code).startsWith('Z_')
  return isZlibError ? invalid('The body is not valid gzip.', thrown) : undefined
}

/** Reads and drops what a client still sends, for a while; then its connection goes. */
function drain(req: IncomingMessage): void {
  // Even a request that has come whole holds its connection until it is read to its end.
  if (req.readableEnded || req.destroyed) return
  req.unpipe()
  // An iteration that was given up still listens, and as long as somebody does, resuming has no effect.
  req.removeAllListeners('readable')
  req.resume()
  const timer = setTimeout(() => req.destroy(), drainTimeoutMs)
  req.once('close', () => clearTimeout(timer))
}

function invalid(message: string, cause?: unknown): ServerError {
  return new ServerError('invalid_argument', message, { cause })
}
