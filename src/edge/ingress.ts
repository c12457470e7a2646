/** A sandbox's own rules for traffic to its ports. None of them concerns envd's, which has its own token (e2b-wire 3.9). */
import type { IncomingHttpHeaders } from 'node:http'
import { isSecret } from '../auth/secret.ts'
import type { LiveSandbox } from '../domain/live-sandbox.ts'
import { type Answer, trafficTokenError, trafficTokenHeader } from './answer.ts'

/** The answer to a request that lacks what the sandbox's ports ask for; undefined: it may go on. */
export function refuseByToken(
  { id, ingress }: Pick<LiveSandbox, 'id' | 'ingress'>,
  headers: IncomingHttpHeaders,
): Answer | undefined {
  if (ingress.trafficAccessToken === null) return undefined
  const given = trafficTokenOf(headers)
  if (given === undefined) return trafficTokenError(id, 'missing')
  return isSecret(given, ingress.trafficAccessToken) ? undefined : trafficTokenError(id, 'invalid')
}

/** The traffic token that a request brings. An empty one is none. */
export function trafficTokenOf(headers: IncomingHttpHeaders): string | undefined {
  const given = headers[trafficTokenHeader]
  return typeof given === 'string' && given !== '' ? given : undefined
}

/** The `Host` that a server inside is told instead of the one asked for; null: that one. */
export function maskedHost({ maskRequestHost }: LiveSandbox['ingress'], port: number): string | null {
  return maskRequestHost === null ? null : maskRequestHost.replaceAll('$' + '{PORT}', String(port))
}
