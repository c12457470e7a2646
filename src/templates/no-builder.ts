import { ServerError } from '../domain/error.ts'
import type { Store } from '../domain/store.ts'
import type { TemplateBuilder } from '../domain/template-builder.ts'
import type { Clock } from '../lib/clock.ts'

/** Where nothing can be built: what waits can only be ended. */
export function createNoBuilder({
  store,
  clock,
}: {
  store: Pick<Store, 'builds'>
  clock: Clock
}): TemplateBuilder {
  return {
    async start() {
      throw new ServerError('unimplemented', "This server can't build templates yet; see docs/compat.md.")
    },
    async cancel(buildId, message) {
      const build = await store.builds.find(buildId)
      if (build === undefined || (build.status !== 'waiting' && build.status !== 'building')) return
      const ended = { status: 'error', reason: { message, step: null }, finishedAt: clock.now() } as const
      await store.builds.update(buildId, ended, build.status)
    },
    owns: () => false,
    close: async () => {},
  }
}
