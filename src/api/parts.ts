import type { FastifyServerFactory } from 'fastify'
import type { ControlContext } from '../control/context.ts'

/** What the routes work with. */
export interface ApiParts {
  control: ControlContext
  /** Base domain of sandbox hosts, e.g. `localhost:3000`; asked for at each answer */
  domain: () => string | null
  /** Makes the HTTP server that the API listens through */
  serverFactory?: FastifyServerFactory
}
