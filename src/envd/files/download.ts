/** GET and HEAD /files (e2b-wire 3.5). */
import type { OutgoingHttpHeaders } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { ServerError } from '../../domain/error.ts'
import type { HttpResponse } from '../../domain/http.ts'
import type { Entry } from '../../guest/entry.ts'
import { type FileStream, type ReadOptions, read } from '../../guest/read.ts'
import { abortable } from '../../lib/deadline.ts'
import { sendStatus } from '../respond.ts'
import { chooseEncoding } from './accept-encoding.ts'
import { isConditional, type Selection, select } from './conditions.ts'
import { etag, fileHeaders, lastModified } from './content-headers.ts'
import { type FileRequest, userOf } from './file-request.ts'

/** Fast rather than small: whoever asks for gzip still waits for it. */
const gzipLevel = 1

/** Answers with a file, or the part of it that is asked for. Errors: those of `guest/read.ts`. */
export async function download(request: FileRequest): Promise<void> {
  const { req, res } = request
  const isHead = req.method === 'HEAD'
  if (!isHead && !isConditional(req.headers)) return sendEncoded(request)

  const file = await open(request, { offset: 0, length: 0 })
  await file.body.return?.()
  const { entry } = file
  const selection: Selection = file.hasSize ? select(req.headers, entry) : { status: 200 }
  if (selection.status === 304) {
    res.writeHead(304, { ...validators(entry), vary: 'Accept-Encoding' }).end()
  } else if (selection.status === 412) {
    sendStatus(res, 412, 'The file is not in the state that the request is for.')
  } else if (isHead) {
    res.writeHead(200, wholeHeaders(file, res)).end()
  } else if (selection.status === 206) {
    await sendPart(request, entry, selection)
  } else if (selection.status === 416) {
    const headers = { 'content-range': `bytes */${entry.size}` }
    sendStatus(res, 416, `The file has ${entry.size} bytes, none of them in the range asked for.`, headers)
  } else {
    await sendWhole(request, await open(request))
  }
}

function open(
  { target, query, scope }: FileRequest,
  part?: { offset: number; length: number },
  options: ReadOptions = { reusesBuffer: true },
): Promise<FileStream> {
  const request = { path: query.get('path') ?? '', ...userOf(query), ...part }
  return read(target.guest, request, scope.signal, options)
}

async function sendEncoded(request: FileRequest): Promise<void> {
  const { req, res, scope } = request
  const encoding = chooseEncoding(req.headers['accept-encoding'])
  if (encoding === undefined) {
    sendStatus(res, 406, 'Files are sent as they are or with gzip. Accept one of the two.')
    return
  }
  if (encoding === 'identity') return sendWhole(request, await open(request))
  // What is compressed still has one piece while it takes the next.
  const file = await open(request, undefined, { reusesBuffer: false })
  res.writeHead(200, { ...fileHeaders(file.entry, res), 'content-encoding': 'gzip' })
  await pipeline(file.body, createGzip({ level: gzipLevel }), res, { signal: scope.signal })
}

async function sendWhole(request: FileRequest, file: FileStream): Promise<void> {
  request.res.writeHead(200, wholeHeaders(file, request.res))
  await sendBytes(request, file.body, file.hasSize ? file.entry.size : undefined)
}

async function sendPart(
  request: FileRequest,
  expected: Entry,
  { start, length }: { start: number; length: number },
): Promise<void> {
  const file = await open(request, { offset: start, length })
  const { entry, body } = file
  if (etag(entry) !== etag(expected)) {
    // The file has changed since the range was computed for it.
    await body.return?.()
    return sendWhole(request, await open(request))
  }
  request.res.writeHead(206, {
    ...wholeHeaders(file, request.res),
    'content-length': length,
    'content-range': `bytes ${start}-${start + length - 1}/${entry.size}`,
  })
  await sendBytes(request, body, length)
}

function wholeHeaders({ entry, hasSize }: FileStream, res: HttpResponse): OutgoingHttpHeaders {
  if (!hasSize) return fileHeaders(entry, res)
  return {
    ...fileHeaders(entry, res),
    ...validators(entry),
    'content-length': entry.size,
    'accept-ranges': 'bytes',
  }
}

function validators(entry: Entry): OutgoingHttpHeaders {
  const modified = lastModified(entry)
  return { etag: etag(entry), ...(modified === undefined ? {} : { 'last-modified': modified }) }
}

/**
 * Sends the body, of which `length` bytes were announced. A file that grows meanwhile is sent as long as it was; one
 * that shrinks fails, and the response is cut.
 */
async function sendBytes(
  { res, scope }: FileRequest,
  body: FileStream['body'],
  length: number = Number.POSITIVE_INFINITY,
): Promise<void> {
  let left = length
  for await (const chunk of body) {
    const piece = chunk.length > left ? chunk.subarray(0, left) : chunk
    left -= piece.length
    if (left === 0) {
      res.end(piece)
      return
    }
    await abortable(send(res, piece), scope.signal)
  }
  if (length !== Number.POSITIVE_INFINITY && left > 0) {
    throw new ServerError('unavailable', 'The file became shorter while it was read.')
  }
  res.end()
}

/** Resolves when the piece has left the process, so that its memory may have the next. */
function send(res: HttpResponse, piece: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    res.write(piece, (error) => (error ? reject(error) : resolve()))
  })
}
