import type { FastifyInstance } from 'fastify'
import type { ApiParts } from '../../parts.ts'

/** GET /admin/sandboxes/running-counts: by team id; teams where none runs are left out. */
export function addRunningCounts(app: FastifyInstance, { control }: ApiParts): void {
  app.get('/admin/sandboxes/running-counts', async () => {
    const usage = await control.store.sandboxes.usage({ states: ['running', 'snapshotting'] })
    return Object.fromEntries(usage.map(({ teamId, sandboxes }) => [teamId, sandboxes]))
  })
}
