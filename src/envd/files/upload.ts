/** POST /files (e2b-wire 3.5). */
import type { Readable } from 'node:stream'
import { ServerError } from '../../domain/error.ts'
import { write } from '../../guest/write.ts'
import { drain } from '../drain.ts'
import { sendJson } from '../respond.ts'
import { type FileRequest, userOf } from './file-request.ts'
import { readForm } from './form.ts'
import { parseMetadata } from './metadata-headers.ts'
import { decodedBody, toBodyError } from './request-body.ts'
import { presentWritten, type WrittenFile } from './written-file.ts'
import { createWrittenPaths } from './written-paths.ts'

/** Writes the files of a request and lists them. Errors: `invalid_argument`; those of `guest/write.ts`. */
export async function upload(request: FileRequest): Promise<void> {
  const { req, res } = request
  try {
    sendJson(res, 200, await writeFiles(request))
  } catch (thrown) {
    throw toBodyError(thrown)
  } finally {
    void drain(req)
  }
}

async function writeFiles(request: FileRequest): Promise<WrittenFile[]> {
  const { req, query } = request
  const contentType = req.headers['content-type'] ?? ''
  const mediaType = contentType.split(';', 1)[0]?.trim().toLowerCase()
  const writeFile = createWriter(request)
  const path = query.get('path') ?? undefined
  if (mediaType === 'application/octet-stream') {
    if (path === undefined || path === '') throw invalid('The query has no path: say where to write.')
    return [await writeFile(path, decodedBody(req))]
  }
  if (mediaType !== 'multipart/form-data') {
    throw invalid('Send files as multipart/form-data or application/octet-stream.')
  }
  const uploaded: WrittenFile[] = []
  await readForm(decodedBody(req), contentType, async ({ filename, bytes }) => {
    const destination = path || filename
    if (!destination)
      throw invalid('A file has no name: say in its filename, or in the query, where to write.')
    uploaded.push(await writeFile(destination, bytes))
  })
  if (uploaded.length === 0) throw invalid("The form has no file. Send files in fields named 'file'.")
  return uploaded
}

/** Writes one file after the other, never two to one place. */
function createWriter({ target, req, query, scope: { signal } }: FileRequest) {
  const metadata = parseMetadata(req.headers)
  const user = userOf(query)
  const written = createWrittenPaths(target.guest, user, signal)
  return async (path: string, bytes: Readable): Promise<WrittenFile> => {
    if (await written.has(path)) throw invalid(`The request has two files for '${path}'.`)
    const request = { path, ...user, ...(Object.keys(metadata).length === 0 ? {} : { metadata }) }
    const file = await write(target.guest, request, bytes, signal)
    written.add(file.path)
    return presentWritten(file.path, file.entry)
  }
}

function invalid(message: string): ServerError {
  return new ServerError('invalid_argument', message)
}
