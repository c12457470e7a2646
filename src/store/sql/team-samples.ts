import { type Kysely, sql } from 'kysely'
import type { TeamSample, TeamSampleStore } from '../../domain/team-sample.ts'
import type { Tables, TeamSampleRow } from '../schema.ts'

const columns = { runningSandboxes: 'running_sandboxes', startsPerSecond: 'starts_per_second' } as const

/** Figures of teams over time. */
export function createTeamSampleStore(db: Kysely<Tables>): TeamSampleStore {
  const within = ({ teamId, from, to }: { teamId: string; from: number; to: number }) =>
    db.selectFrom('team_samples').where('team_id', '=', teamId).where('at', '>=', from).where('at', '<=', to)

  return {
    async add(samples) {
      if (samples.length === 0) return
      await db.insertInto('team_samples').values(samples.map(toRow)).execute()
    },

    async list(filter) {
      const rows = await within(filter)
        .select(({ fn, ref }) => [
          'team_id',
          fn.max<number>('at').as('at'),
          fn.max<number>(ref('running_sandboxes')).as('running_sandboxes'),
          fn.max<number>(ref('starts_per_second')).as('starts_per_second'),
        ])
        .groupBy(['team_id', sql`floor(at / ${filter.stepMs})`])
        .orderBy('at')
        .execute()
      return rows.map(toSample)
    },

    async max(filter) {
      const row = await within(filter)
        .selectAll()
        .orderBy(columns[filter.figure], 'desc')
        .orderBy('at', 'desc')
        .limit(1)
        .executeTakeFirst()
      return row && toSample(row)
    },

    async removeBefore(at) {
      await db.deleteFrom('team_samples').where('at', '<', at).execute()
    },
  }
}

function toRow(sample: TeamSample): TeamSampleRow {
  return {
    team_id: sample.teamId,
    at: sample.at,
    running_sandboxes: sample.runningSandboxes,
    starts_per_second: sample.startsPerSecond,
  }
}

function toSample(row: TeamSampleRow): TeamSample {
  return {
    teamId: row.team_id,
    at: row.at,
    runningSandboxes: row.running_sandboxes,
    startsPerSecond: row.starts_per_second,
  }
}
