/**
 * Signed file URLs: who holds one may read or write that one path as that one user, without the sandbox's token
 * (e2b-wire 3.6).
 */
import { createHash } from 'node:crypto'
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
  const { path, operation, username, expiration } = request
  const parts = [path, operation, username, accessToken, ...(expiration === undefined ? [] : [expiration])]
  const hash = createHash('sha256').update(parts.join(':'), 'utf8').digest('base64')
  return `v1_${hash.replace(/=+$/, '')}`
}

/** Whether `signature` is the one of that request. Its expiration is the caller's to check, after this. */
export function isSignature(signature: string, request: SignedRequest, accessToken: string): boolean {
  return isSecret(signature, sign(request, accessToken))
}
