import type { FastifyServerFactory } from 'fastify'
import type { Authenticator } from '../auth/authenticate.ts'
import type { ControlContext } from '../control/context.ts'
import type { LocalNode } from '../control/local-node.ts'

/** What the routes work with. */
export interface ApiParts {
  control: ControlContext
  authenticator: Authenticator
  /** What the server has measured of itself, for whoever has its operator's token */
  metrics: { readonly contentType: string; text(): Promise<string> }
  /** What operators see of this server */
  localNode: LocalNode
  /** Base domain of sandbox hosts, e.g. `localhost:3000`; asked for at each answer */
  domain: () => string | null
  /** Makes the HTTP server that the API listens through */
  serverFactory?: FastifyServerFactory
}
