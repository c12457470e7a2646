import type { FastifyInstance } from 'fastify'
import { ServerError } from '../../domain/error.ts'
import { type Operation, operations } from '../../wire/openapi.ts'

/** The operations that E2B's clients know and this server doesn't yet: a typed 501, never a success. */
export function addUnimplemented(scope: FastifyInstance, which: (operation: Operation) => boolean): void {
  for (const operation of operations()) {
    if (!operation.unimplemented || !which(operation)) continue
    const { method, path } = operation
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
