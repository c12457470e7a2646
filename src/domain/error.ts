/**
 * The one error vocabulary. Whatever fails anywhere in the server is a `ServerError` by the time it reaches a
 * boundary; `wire/error-map.ts` has the one table to HTTP and the one to Connect.
 *
 * `message` goes to the client: a sentence that says what is wrong and, where it can, what to do.
 * `cause` goes to the log only.
 */

/** What `errorCodes` lists, and nothing else. */
export type ErrorCode = (typeof errorCodes)[number]

export const errorCodes = [
  'invalid_argument',
  'unauthenticated',
  'forbidden',
  'not_found',
  'conflict',
  'resource_exhausted',
  'failed_precondition',
  'deadline_exceeded',
  'unavailable',
  'unimplemented',
  'canceled',
  'internal',
] as const

export interface ErrorOptions {
  /** System error name where one caused it, e.g. `ENOSPC` */
  errno?: string | undefined
  /** Time after which a retry makes sense, in seconds */
  retryAfterS?: number
  /** E2B's name for it, where it has one: `error_code` of REST */
  errorCode?: string
  /** What a limit of a rate leaves */
  rateLimit?: RateLimit
  /** For the log only */
  cause?: unknown
}

export interface RateLimit {
  /** Most at once */
  limit: number
  remaining: number
  /** Time until as many are left as there can be, in seconds */
  resetS: number
}

export class ServerError extends Error {
  override readonly name = 'ServerError'
  readonly code: ErrorCode
  readonly errno: string | undefined
  readonly retryAfterS: number | undefined
  readonly errorCode: string | undefined
  readonly rateLimit: RateLimit | undefined

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, { cause: options.cause })
    this.code = code
    this.errno = options.errno
    this.retryAfterS = options.retryAfterS
    this.errorCode = options.errorCode
    this.rateLimit = options.rateLimit
  }
}

/** Whether `value` is one of the closed list's codes. */
export function isErrorCode(value: unknown): value is ErrorCode {
  return errorCodes.includes(value as ErrorCode)
}

/** Any thrown value as a `ServerError`; an unknown one becomes `internal` with its text kept for the log. */
export function toError(thrown: unknown): ServerError {
  if (thrown instanceof ServerError) return thrown
  if (thrown instanceof DOMException && thrown.name === 'TimeoutError') {
    return new ServerError('deadline_exceeded', 'The operation took too long.', { cause: thrown })
  }
  if (thrown instanceof Error && thrown.name === 'AbortError') {
    return new ServerError('canceled', 'The request was canceled.', { cause: thrown })
  }
  if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOSPC') {
    return new ServerError('resource_exhausted', "The server's disk is full.", {
      cause: thrown,
      errno: 'ENOSPC',
    })
  }
  return new ServerError('internal', 'Internal error. The server log has the cause.', { cause: thrown })
}
