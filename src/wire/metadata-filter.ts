import { ServerError } from '../domain/error.ts'

/**
 * Decodes the `metadata` query of sandbox lists. Clients encode each key and value, the pairs as a query string, and
 * that once more as a parameter (e2b-wire 2.4); the framework has undone the last.
 * Errors: `invalid_argument`.
 */
export function parseMetadataFilter(text: string): Record<string, string> {
  // Built from entries, so that a key like `__proto__` is one among others.
  return Object.fromEntries(
    Array.from(new URLSearchParams(text), ([key, value]) => [decode(key), decode(value)]),
  )
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new ServerError(
      'invalid_argument',
      "'metadata' is not encoded as key=value pairs; encode each key and value.",
    )
  }
}
