import type { Kysely } from 'kysely'
import type { NodeStatusStore } from '../../domain/node-status.ts'
import type { Tables } from '../schema.ts'

/** One row for each node that an operator has ever decided about. */
export function createNodeStatusStore(db: Kysely<Tables>): NodeStatusStore {
  return {
    async get(nodeId) {
      const row = await db
        .selectFrom('node_status')
        .select('status')
        .where('node_id', '=', nodeId)
        .executeTakeFirst()
      return row?.status === 'draining' ? 'draining' : 'ready'
    },

    async set(nodeId, status) {
      await db
        .insertInto('node_status')
        .values({ node_id: nodeId, status })
        .onConflict((conflict) => conflict.column('node_id').doUpdateSet({ status }))
        .execute()
    },
  }
}
