import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Authenticator, Credentials } from '../../auth/authenticate.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The team that the request is for */
    teamId: string
  }
}

/** Asks every request of this scope which team it is for, before its body is read. */
export function addAuthentication(scope: FastifyInstance, authenticator: Authenticator): void {
  scope.decorateRequest('teamId', '')
  scope.addHook('onRequest', async (request) => {
    const { teamId } = await authenticator.team(credentialsOf(request))
    request.teamId = teamId
  })
}

/** Asks every request of this scope for the admin token, before its body is read. */
export function addOperatorAuthentication(scope: FastifyInstance, authenticator: Authenticator): void {
  scope.addHook('onRequest', async (request) => authenticator.operator(credentialsOf(request).adminToken))
}

/** What a request says of its sender. */
export function credentialsOf(request: FastifyRequest): Credentials & { bearer: string | undefined } {
  const header = (name: string) => {
    const value = request.headers[name]
    return Array.isArray(value) ? value[0] : value
  }
  const bearer = bearerOf(request)
  return {
    bearer,
    // Older clients send what they have from a login as a bearer token, which an API key is here (see `GET /teams`).
    apiKey: header('x-api-key') ?? bearer,
    adminToken: header('x-admin-token'),
    teamId: header('x-team-id'),
  }
}

function bearerOf({ headers }: FastifyRequest): string | undefined {
  return /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1]
}
