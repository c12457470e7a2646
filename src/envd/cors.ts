import { cors as connectCors } from '@connectrpc/connect'
import type { HttpRequest, HttpResponse } from '../domain/http.ts'
import { corsHeaders, isPreflight, preflightHeaders } from '../wire/cors.ts'
import { replayFromHeader } from './process/replay.ts'

/** Response headers that scripts of other origins may read. */
const exposedHeaders = [
  'Location',
  'Cache-Control',
  'X-Content-Type-Options',
  'Content-Disposition',
  'Content-Range',
  'Retry-After',
  replayFromHeader,
  ...connectCors.exposedHeaders,
]

/** Lets scripts of any origin call envd. Answers preflights, and says whether the request was one. */
export function applyCors(req: HttpRequest, res: HttpResponse): boolean {
  if (isPreflight(req)) {
    res.writeHead(204, preflightHeaders(req)).end()
    return true
  }
  for (const [name, value] of Object.entries(corsHeaders(req, exposedHeaders))) res.setHeader(name, value)
  return false
}
