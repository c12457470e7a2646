import type { FastifyInstance } from 'fastify'
import { ServerError } from '../../domain/error.ts'
import { operations } from '../../wire/openapi.ts'

/** The operations that E2B's clients know and this server doesn't yet: a typed 501, never a success. */
export function addUnimplemented(scope: FastifyInstance): void {
  for (const { method, path, unimplemented } of operations()) {
    if (!unimplemented) continue
    scope.route({
      method,
      url: path.replaceAll(/\{(\w+)\}/g, ':$1'),
      handler: async () => {
        throw new ServerError(
          'unimplemented',
          `${method} ${path} is not implemented by this server yet; see docs/compat.md.`,
        )
      },
    })
  }
}
