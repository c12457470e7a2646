import { type ErrorCode, ServerError, toError } from '../domain/error.ts'

/** What E2B's clients know failed starts by (e2b-behaviour 5). */
const errorCodes: Partial<Record<ErrorCode, string>> = {
  unavailable: 'sandbox_capacity_unavailable',
  deadline_exceeded: 'sandbox_placement_timeout',
  internal: 'sandbox_create_failed',
}

/** Why a sandbox couldn't be started, in E2B's words and then ours; whatever isn't the server's failure as it is. */
export function placementError(thrown: unknown): unknown {
  const { code, message, errno, retryAfterS } = toError(thrown)
  const errorCode = errorCodes[code]
  if (errorCode === undefined) return thrown
  return new ServerError(code, `Failed to place sandbox: ${message}`, {
    errorCode,
    errno,
    ...(retryAfterS !== undefined && { retryAfterS }),
    cause: thrown,
  })
}
