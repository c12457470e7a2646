/**
 * Signed file URLs: who holds one may read or write that one path as that one user, without the sandbox's token
 * (e2b-wire 3.6).
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { isSecret } from './secret.ts'

/** What a signature covers: the query's values as they are given, `''` where absent. */
export interface SignedRequest {
  path: string
  operation: 'read' | 'write'
  username: string
  /** Unix seconds; absent: no end */
  expiration?: number
}

/** The signature of a request: `v1_` and the SHA-256 of its parts in base64 without padding. */
export function sign(request: SignedRequest, accessToken: string): string {
  return `v1_${digest(request, accessToken).toString('base64').replace(/=+$/, '')}`
}

/** Whether `signature` is the one of that request. Its expiration is the caller's to check, after this. */
export function isSignature(signature: string, request: SignedRequest, accessToken: string): boolean {
  return isSecret(signature, sign(request, accessToken))
}

/**
 * A test for the tokens that a signature may have been made with: one hash for each, in a time that tells nothing of
 * either. Undefined for a text that is no signature. What it finds is still to be checked as any signature is.
 */
export function signerTest(
  signature: string,
  request: SignedRequest,
): ((accessToken: string) => boolean) | undefined {
  const encoded = /^v1_([A-Za-z0-9+/]{43})$/.exec(signature)?.[1]
  if (encoded === undefined) return undefined
  const given = Buffer.from(encoded, 'base64')
  return (accessToken) => timingSafeEqual(digest(request, accessToken), given)
}

function digest({ path, operation, username, expiration }: SignedRequest, accessToken: string): Buffer {
  const end = expiration === undefined ? '' : `:${expiration}`
  return createHash('sha256').update(`${path}:${operation}:${username}:${accessToken}${end}`, 'utf8').digest()
}
