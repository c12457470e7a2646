/** POST /files/compose, the end of a parallel upload (e2b-wire 3.5). */
import { ServerError } from '../../domain/error.ts'
import type { HttpRequest, HttpResponse } from '../../domain/http.ts'
import { type ComposeRequest, compose } from '../../guest/compose.ts'
import type { JsonBounds } from '../../lib/json-bounds.ts'
import { drain } from '../drain.ts'
import { type Load, takeTurn } from '../load.ts'
import { createRequestScope } from '../request-scope.ts'
import { sendJson, sendStatus } from '../respond.ts'
import type { EnvdTarget } from '../target.ts'
import { readJson } from './request-body.ts'
import { presentWritten } from './written-file.ts'

/** As long as the agent takes them. */
const bodyMaxBytes = 4 * 1024 * 1024
const sourcesMax = 1000
/** More than a body has that names as many paths as there may be. */
const jsonBounds: JsonBounds = { membersMax: 2 * sourcesMax, depthMax: 16 }

/** Joins files and describes the one they have become. Errors: `invalid_argument`; those of `guest/compose.ts`. */
export async function serveCompose(
  target: EnvdTarget,
  req: HttpRequest,
  res: HttpResponse,
  load: Load,
): Promise<void> {
  if (req.method !== 'POST') {
    sendStatus(res, 405, 'Files are joined with POST.', { allow: 'POST' })
    return
  }
  const { signal } = createRequestScope(res, target.gone)
  const account = load.memory.open(target.sandboxId)
  const turn = () => takeTurn(load, target, signal)
  try {
    const limits = { maxBytes: bodyMaxBytes, account, turn, ...jsonBounds }
    const request = parseRequest(await readJson(req, limits))
    const entry = await compose(target.guest, request, signal)
    sendJson(res, 200, presentWritten(entry.path, entry))
  } finally {
    account.close()
    void drain(req)
  }
}

function parseRequest(body: unknown): ComposeRequest {
  if (typeof body !== 'object' || body === null) throw invalid('The body must be a JSON object.')
  const { source_paths: sources, destination, username } = body as Record<string, unknown>
  if (!Array.isArray(sources) || !sources.every(isPath)) {
    throw invalid('source_paths must be an array of paths.')
  }
  if (sources.length === 0 || sources.length > sourcesMax) {
    throw invalid(`source_paths must have 1 to ${sourcesMax} paths.`)
  }
  if (!isPath(destination)) throw invalid('destination must be a path.')
  if (username === undefined || username === null || username === '') return { sources, destination }
  if (typeof username !== 'string') throw invalid('username must be a string.')
  return { sources, destination, user: username }
}

function isPath(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

function invalid(message: string): ServerError {
  return new ServerError('invalid_argument', message)
}
