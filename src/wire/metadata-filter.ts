import { ServerError } from '../domain/error.ts'

/**
 * Decodes the `metadata` query of sandbox lists. Clients encode each key and value, the pairs as a query string, and
 * that once more as a parameter; the framework has undone the last. As with E2B, the whole is decoded before it is
 * split into pairs (e2b-wire 2.1). Errors: `invalid_argument`.
 */
export function parseMetadataFilter(text: string): Record<string, string> {
  const pairs = decode(text)
    .split('&')
    .filter((pair) => pair !== '')
  // Built from entries, so that a key like `__proto__` is one among others.
  return Object.fromEntries(
    pairs.map((pair) => {
      const [key = '', ...value] = pair.split('=')
      return [decode(key), decode(value.join('='))]
    }),
  )
}

/** One level of the encoding of queries, in which `+` is a space. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    throw new ServerError(
      'invalid_argument',
      "'metadata' is not encoded as key=value pairs; encode each key and value.",
    )
  }
}
