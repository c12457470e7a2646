import type { Answer } from './answer.ts'

/** What E2B's control plane alone may call on envd's port; here there is nothing behind them (e2b-wire 3.5). */
const reservedPaths: ReadonlySet<string> = new Set([
  '/init',
  '/freeze',
  '/unfreeze',
  '/collapse',
  '/fsfreeze',
  '/fsthaw',
  '/upgrade',
])

/** The answer to a request for a reserved path of envd; undefined: it isn't one. `url`: the request's target. */
export function refuseReserved(url: string): Answer | undefined {
  const end = url.indexOf('?')
  const path = end === -1 ? url : url.slice(0, end)
  if (!reservedPaths.has(path)) return undefined
  const message =
    'This endpoint is reserved for the E2B control plane and is not reachable through the sandbox URL'
  return { status: 404, body: { code: 404, message, path } }
}
