/**
 * The one table from our error codes to HTTP and to Connect, and the JSON body every HTTP error has:
 * `{"code": <status>, "message": "…"}` (e2b-wire 1.10: clients read `code` from the body, not only the status); that of
 * REST also has `error_code` where E2B has a name for the error.
 */
import { Code } from '@connectrpc/connect'
import type { ErrorCode, ServerError } from '../domain/error.ts'

const table: Record<ErrorCode, { http: number; connect: Code }> = {
  invalid_argument: { http: 400, connect: Code.InvalidArgument },
  unauthenticated: { http: 401, connect: Code.Unauthenticated },
  forbidden: { http: 403, connect: Code.PermissionDenied },
  not_found: { http: 404, connect: Code.NotFound },
  conflict: { http: 409, connect: Code.AlreadyExists },
  resource_exhausted: { http: 429, connect: Code.ResourceExhausted },
  failed_precondition: { http: 412, connect: Code.FailedPrecondition },
  deadline_exceeded: { http: 504, connect: Code.DeadlineExceeded },
  unavailable: { http: 503, connect: Code.Unavailable },
  unimplemented: { http: 501, connect: Code.Unimplemented },
  canceled: { http: 499, connect: Code.Canceled },
  internal: { http: 500, connect: Code.Internal },
}

/** Where there is no more room on a disk, or no more for a user. */
const full = ['ENOSPC', 'EDQUOT']

/** The HTTP status of an error. A full disk has its own, 507 (e2b-wire 3.5). */
export function httpStatus(error: ServerError): number {
  if (error.errno !== undefined && full.includes(error.errno)) return 507
  return table[error.code].http
}

export function connectCode(code: ErrorCode): Code {
  return table[code].connect
}

/** The JSON body of an HTTP error. */
export function errorBody(status: number, message: string): { code: number; message: string } {
  return { code: status, message }
}

/** The JSON body of an error of REST. */
export function restErrorBody(error: ServerError): { code: number; message: string; error_code?: string } {
  const { message, errorCode } = error
  return {
    ...errorBody(httpStatus(error), message),
    ...(errorCode !== undefined && { error_code: errorCode }),
  }
}
