import type { HttpRequest, HttpResponse } from '../../domain/http.ts'
import { requireFileAccess } from '../access.ts'
import { drain } from '../drain.ts'
import { createRequestScope } from '../request-scope.ts'
import { sendStatus } from '../respond.ts'
import type { EnvdTarget } from '../target.ts'
import { download } from './download.ts'
import { upload } from './upload.ts'

/** Answers `/files`. Errors: what the client is told. */
export async function serveFiles(
  target: EnvdTarget,
  req: HttpRequest,
  res: HttpResponse,
  query: URLSearchParams,
): Promise<void> {
  const isRead = req.method === 'GET' || req.method === 'HEAD'
  if (!isRead && req.method !== 'POST') {
    sendStatus(res, 405, 'Files are read with GET and written with POST.', { allow: 'GET, HEAD, POST' })
    return
  }
  try {
    requireFileAccess(target, req, query, isRead ? 'read' : 'write')
    const request = { target, req, res, query, scope: createRequestScope(res, target.gone) }
    await (isRead ? download(request) : upload(request))
  } catch (refusal) {
    if (!isRead && req.httpVersionMajor > 1) await drain(req, refusedUploadTimeoutMs)
    throw refusal
  }
}

/**
 * How long a refused upload may go on, in milliseconds. In HTTP/2 Node's clients, which the SDKs are, reject answers
 * while more than 10 MB of a body are still to be sent, and all others of the connection with them: they are told
 * when they have sent it.
 */
const refusedUploadTimeoutMs = 60_000
