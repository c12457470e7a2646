import { ServerError } from '../../domain/error.ts'
import type { HttpRequest } from '../../domain/http.ts'

/**
 * The first part of a request as text in Latin-1. Nothing can be smuggled in: HTTP/1.1's parser has refused it by now,
 * but HTTP/2 frames its headers in binary, and a line break there is just another byte. Errors:
 * `invalid_argument` for a request that HTTP/1.1 can't express.
 */
export function requestHead(
  { method = '', url = '' }: Pick<HttpRequest, 'method' | 'url'>,
  headers: readonly string[],
): string {
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(method)) throw invalid('method')
  if (!/^[\x21-\x7e\x80-\xff]+$/.test(url)) throw invalid('target')
  let text = `${method} ${url} HTTP/1.1\r\n`
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const value = headers[i + 1]!
    if (!/^[\t\x20-\x7e\x80-\xff]*$/.test(value)) throw invalid('headers')
    text += `${headers[i]}: ${value}\r\n`
  }
  return `${text}\r\n`
}

function invalid(part: string): ServerError {
  const message = `The request's ${part} can't be sent to a server inside: HTTP/1.1 does not allow such characters.`
  return new ServerError('invalid_argument', message)
}
