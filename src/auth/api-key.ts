/**
 * API keys have the official shape, because some clients check it before they send anything (e2b-wire 1.3). Only a
 * key's hash is kept. A plain SHA-256 is enough where the secret is 160 random bits: there is nothing to guess.
 */
import { createHash, randomBytes } from 'node:crypto'

const shape = /^e2b_[0-9a-f]{40}$/

/** A new key: `e2b_` and 40 lower-case hex digits. */
export function generateApiKey(): string {
  return `e2b_${randomBytes(20).toString('hex')}`
}

/** What the store keeps of a key: lower-case hex of SHA-256 over the whole of it. */
export function hashApiKey(key: string): string {
  return createHash('sha256').update(key).digest('hex')
}

/** First and last characters, to tell keys apart, e.g. `e2b_12…89ab`. Expects a key that `isApiKeyShaped`. */
export function maskApiKey(key: string): string {
  return `${key.slice(0, 6)}…${key.slice(-4)}`
}

/** The parts of what `maskApiKey` made. */
export function maskedParts(mask: string): { prefix: string; first: string; last: string } {
  return { prefix: mask.slice(0, 4), first: mask.slice(4, 6), last: mask.slice(-4) }
}

/** How many characters a key has behind its prefix. */
export const apiKeyDigits = 40

/** Whether a text could be a key that `generateApiKey` made. */
export function isApiKeyShaped(text: string): boolean {
  return shape.test(text)
}
