import { createHash, timingSafeEqual } from 'node:crypto'

/**
 * Whether `given` is the secret `expected`, in a time that tells nothing about either: both are hashed first, so that
 * not even their lengths matter.
 */
export function isSecret(given: string, expected: string): boolean {
  return timingSafeEqual(sha256(given), sha256(expected))
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text, 'utf8').digest()
}
