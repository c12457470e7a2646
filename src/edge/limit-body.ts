import type { HttpRequest, HttpResponse } from '../domain/http.ts'
import { startPatience } from '../lib/patience.ts'
import { uploadPath, uploadTimeoutMs } from '../wire/template.ts'
import { routeError, send } from './answer.ts'
import { connectionOf, http2StreamOf } from './connection-of.ts'
import { cut } from './cut.ts'
import { hasBody } from './forward-headers.ts'

/** Enough for the megabyte that a body of the API may have, over a slow line. In milliseconds. */
const defaultTimeoutMs = 60_000

/** How long the body of a request for the API may take, in milliseconds. */
export function bodyTimeoutMs({ method, url = '' }: HttpRequest): number {
  return method === 'PUT' && url.replace(/^\/+/, '/').startsWith(uploadPath)
    ? uploadTimeoutMs
    : defaultTimeoutMs
}

/**
 * Ends a request whose body isn't all there after that time, in milliseconds, however much of it keeps coming: with
 * 408 and the connection behind it, or in HTTP/2, where a late end would still be taken for a whole body, by a reset.
 */
export function limitBody(req: HttpRequest, res: HttpResponse, timeoutMs = defaultTimeoutMs): void {
  if (!hasBody(req)) return
  const patience = startPatience(timeoutMs, () => {
    if (req.complete || res.headersSent) return
    if (http2StreamOf(req) === undefined) send(req, res, tooSlow)
    else cut(connectionOf(req))
  })
  const stop = () => patience.stop()
  req.once('end', stop)
  res.once('close', stop)
}

const tooSlow = routeError(408, 'The body of the request took too long.')
