import { type Kysely, sql } from 'kysely'
import type { SandboxMetrics, SandboxMetricsStore } from '../../domain/sandbox-metrics.ts'
import type { SandboxMetricsRow, Tables } from '../schema.ts'
import { goneSandboxes } from './gone-sandboxes.ts'

/** Most rows of one statement, so that its parameters stay below SQLite's limit. */
const rowsMax = 500

/** What sandboxes used over time. */
export function createSandboxMetricsStore(db: Kysely<Tables>): SandboxMetricsStore {
  return {
    async add(samples) {
      if (samples.length === 0) return
      await db.transaction().execute(async (transaction) => {
        for (let at = 0; at < samples.length; at += rowsMax) {
          const rows = samples.slice(at, at + rowsMax).map(toRow)
          await transaction.insertInto('sandbox_metrics').values(rows).execute()
        }
      })
    },

    async list({ sandboxId, from, to, limit }) {
      const rows = await db
        .selectFrom('sandbox_metrics')
        .selectAll()
        .where('sandbox_id', '=', sandboxId)
        .where('at', '>=', from)
        .where('at', '<=', to)
        .orderBy('at', 'desc')
        .limit(limit)
        .execute()
      return rows.reverse().map(toSample)
    },

    async latest(sandboxIds) {
      if (sandboxIds.length === 0) return []
      const rows = await db
        .selectFrom('sandbox_metrics')
        .selectAll()
        .where('sandbox_id', 'in', sandboxIds)
        .where((where) =>
          where(
            'at',
            '=',
            where
              .selectFrom('sandbox_metrics as newer')
              .select(({ fn }) => fn.max('newer.at').as('at'))
              .whereRef('newer.sandbox_id', '=', 'sandbox_metrics.sandbox_id'),
          ),
        )
        .execute()
      return rows.map(toSample)
    },

    async thin({ from, before, stepMs }) {
      await db
        .deleteFrom('sandbox_metrics')
        .where('at', '>=', from)
        .where('at', '<', before)
        .where(({ exists, selectFrom }) =>
          exists(
            selectFrom('sandbox_metrics as earlier')
              .select('earlier.at')
              .whereRef('earlier.sandbox_id', '=', 'sandbox_metrics.sandbox_id')
              .whereRef('earlier.at', '<', 'sandbox_metrics.at')
              .where('earlier.at', '>=', sql<number>`floor(sandbox_metrics.at / ${stepMs}) * ${stepMs}`),
          ),
        )
        .execute()
    },

    async trim(before) {
      await db.deleteFrom('sandbox_metrics').where('at', '<', before).execute()
      await db
        .deleteFrom('sandbox_metrics')
        .where('sandbox_id', 'in', goneSandboxes('sandbox_metrics'))
        .execute()
    },
  }
}

function toRow(sample: SandboxMetrics): SandboxMetricsRow {
  return {
    sandbox_id: sample.sandboxId,
    at: sample.at,
    cpu_count: sample.cpuCount,
    cpu_used_pct: sample.cpuUsedPct,
    mem_used: sample.memUsed,
    mem_total: sample.memTotal,
    mem_cache: sample.memCache,
    disk_used: sample.diskUsed,
    disk_total: sample.diskTotal,
  }
}

function toSample(row: SandboxMetricsRow): SandboxMetrics {
  return {
    sandboxId: row.sandbox_id,
    at: row.at,
    cpuCount: row.cpu_count,
    cpuUsedPct: row.cpu_used_pct,
    memUsed: row.mem_used,
    memTotal: row.mem_total,
    memCache: row.mem_cache,
    diskUsed: row.disk_used,
    diskTotal: row.disk_total,
  }
}
