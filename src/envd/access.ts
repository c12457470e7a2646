/** Who may call: whoever has the sandbox's token, and for files whoever has a signed URL (e2b-wire 3.6). */
import { isSecret } from '../auth/secret.ts'
import { isSignature } from '../auth/signature.ts'
import { ServerError } from '../domain/error.ts'
import type { HttpRequest } from '../domain/http.ts'
import type { EnvdTarget } from './target.ts'

/** Errors: `unauthenticated`. */
export function requireToken(target: EnvdTarget, req: HttpRequest): void {
  if (target.accessToken === null) return
  const given = tokenOf(req)
  if (given !== undefined && isSecret(given, target.accessToken)) return
  throw new ServerError(
    'unauthenticated',
    'unauthorized access, please provide a valid access token or method signing if supported',
  )
}

/** Admits a request for a file by its token or its signature. Errors: `unauthenticated`, `invalid_argument` (expiration). */
export function requireFileAccess(
  target: EnvdTarget,
  req: HttpRequest,
  query: URLSearchParams,
  operation: 'read' | 'write',
): void {
  if (target.accessToken === null) return
  const given = tokenOf(req)
  if (given !== undefined) {
    if (isSecret(given, target.accessToken)) return
    throw new ServerError('unauthenticated', 'access token present in header but does not match')
  }
  const signature = query.get('signature')
  if (signature === null) throw new ServerError('unauthenticated', 'missing signature query parameter')
  const expiration = expirationOf(query)
  const request = {
    path: query.get('path') ?? '',
    operation,
    username: query.get('username') ?? '',
    ...(expiration === undefined ? {} : { expiration }),
  }
  if (!isSignature(signature, request, target.accessToken)) {
    throw new ServerError('unauthenticated', 'invalid signature')
  }
  if (expiration !== undefined && expiration < Math.floor(Date.now() / 1000)) {
    throw new ServerError('unauthenticated', 'signature is already expired')
  }
}

function tokenOf(req: HttpRequest): string | undefined {
  const token = req.headers['x-access-token']
  return typeof token === 'string' && token !== '' ? token : undefined
}

/** Unix seconds, which may be negative. */
function expirationOf(query: URLSearchParams): number | undefined {
  const text = query.get('signature_expiration')
  if (text === null || text === '') return undefined
  const expiration = Number(text)
  if (!/^-?\d+$/.test(text) || !Number.isSafeInteger(expiration)) {
    throw new ServerError('invalid_argument', 'signature_expiration must be a time in Unix seconds.')
  }
  return expiration
}
