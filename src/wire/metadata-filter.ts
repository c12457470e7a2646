import { ServerError } from '../domain/error.ts'

/**
 * Decodes the `metadata` query of sandbox lists. Clients encode each key and value, the pairs as a query string, and
 * that once more as a parameter (e2b-wire 2.4); the framework has undone the last.
 * Errors: `invalid_argument`.
 */
export function parseMetadataFilter(text: string): Record<string, string> {
  const filter: Record<string, string> = {}
  for (const [key, value] of new URLSearchParams(text)) {
    filter[decode(key)] = decode(value)
  }
  return filter
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
