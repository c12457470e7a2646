import { forEachLimit } from '../lib/for-each-limit.ts'
import type { ControlContext } from './context.ts'

/** Builds looked at side by side. */
const parallel = 8
/** How long a build may wait for its start, in ms: as long as clients upload files for it, and more. */
const startWaitMaxMs = 2 * 3_600_000

/** Ends builds that a crash broke off, and those that were never started. */
export async function settleBuilds({ store, builder, clock, log }: ControlContext): Promise<void> {
  const running = await store.builds.list({ statuses: ['building'], isSnapshot: false })
  const brokenOff = running.filter(({ id }) => !builder.owns(id))
  await forEachLimit(brokenOff, parallel, async ({ id }) => {
    log.warn({ buildId: id }, 'a build was broken off')
    await builder.cancel(id, 'The server ended while this build ran. Build again.')
  })
  const since = clock.now() - startWaitMaxMs
  const waiting = await store.builds.list({ statuses: ['waiting'] })
  const abandoned = waiting.filter(({ createdAt }) => createdAt < since)
  await forEachLimit(abandoned, parallel, ({ id }) => builder.cancel(id, 'It was never started.'))
}
