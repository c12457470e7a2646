import type { TLSSocket } from 'node:tls'
import type { HttpRequest } from '../domain/http.ts'
import type { ErrorRoute } from './route.ts'

/**
 * The route of a request on an encrypted connection that was not opened for a name of the server's domain; undefined
 * for all others. Its client can't have checked the certificate.
 */
export function misdirected({ socket }: HttpRequest, domain: string | undefined): ErrorRoute | undefined {
  if (domain === undefined || !('encrypted' in socket)) return undefined
  const { servername } = socket as TLSSocket
  const name = typeof servername === 'string' ? servername.toLowerCase() : ''
  if (name === domain || name.endsWith(`.${domain}`)) return undefined
  const asked =
    name === ''
      ? 'The client named no server when it connected (TLS without SNI)'
      : 'This server has another name'
  return {
    kind: 'error',
    status: 421,
    message: `${asked}: use api.${domain} or another name under ${domain}`,
  }
}
