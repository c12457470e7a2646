import { randomBytes } from 'node:crypto'
import { type Kysely, sql } from 'kysely'
import type { Store } from '../domain/store.ts'
import { migrate } from './migrate.ts'
import { runtimesOfBuilds, runtimesOfSandboxes } from './runtime-queries.ts'
import type { Tables } from './schema.ts'
import { createApiKeyStore } from './sql/api-keys.ts'
import { createLifecycleEventStore } from './sql/lifecycle-events.ts'
import { createNodeStatusStore } from './sql/node-status.ts'
import { createPrivateImageStore } from './sql/private-images.ts'
import { createSandboxLogStore } from './sql/sandbox-logs.ts'
import { createSandboxMetricsStore } from './sql/sandbox-metrics.ts'
import { createSandboxStore } from './sql/sandboxes.ts'
import { createTeamSampleStore } from './sql/team-samples.ts'
import { createTeamStore } from './sql/teams.ts'
import { createBuildLogStore } from './sql/template-build-logs.ts'
import { createBuildStore } from './sql/template-builds.ts'
import { createTemplateFileStore } from './sql/template-files.ts'
import { createLayerStore } from './sql/template-layers.ts'
import { createTagStore } from './sql/template-tags.ts'
import { createTemplateStore } from './sql/templates.ts'
import { createWarmGuestStore } from './sql/warm-guests.ts'
import { createWebhookStore } from './sql/webhooks.ts'

/**
 * The store over an opened database: migrates it, then serves from it. Takes the connection over: `close` ends it,
 * and so does a failure here. Errors: those of `migrate`.
 */
export async function createSqlStore(db: Kysely<Tables>): Promise<Store> {
  try {
    await migrate(db)
    const instanceId = await keepInstanceId(db)
    return {
      sandboxes: createSandboxStore(db),
      events: createLifecycleEventStore(db),
      templates: createTemplateStore(db),
      builds: createBuildStore(db),
      tags: createTagStore(db),
      buildLogs: createBuildLogStore(db),
      layers: createLayerStore(db),
      templateFiles: createTemplateFileStore(db),
      privateImages: createPrivateImageStore(db),
      teams: createTeamStore(db),
      apiKeys: createApiKeyStore(db),
      teamSamples: createTeamSampleStore(db),
      sandboxMetrics: createSandboxMetricsStore(db),
      logs: createSandboxLogStore(db),
      webhooks: createWebhookStore(db),
      nodeStatus: createNodeStatusStore(db),
      warmGuests: createWarmGuestStore(db),
      runtimes: () => findRuntimes(db),
      instanceId,
      close: () => db.destroy(),
    }
  } catch (error) {
    await db.destroy()
    throw error
  }
}

async function findRuntimes(db: Kysely<Tables>): Promise<{ sandboxes: string[]; builds: string[] }> {
  const namesOf = async (query: string) => {
    const { rows } = await sql.raw<{ runtime: string }>(query).execute(db)
    return rows.map(({ runtime }) => runtime)
  }
  return { sandboxes: await namesOf(runtimesOfSandboxes), builds: await namesOf(runtimesOfBuilds) }
}

/** The id made when the database was: 12 lower-case hex digits. */
async function keepInstanceId(db: Kysely<Tables>): Promise<string> {
  await db
    .insertInto('meta')
    .values({ key: 'instance_id', value: randomBytes(6).toString('hex') })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  const row = await db
    .selectFrom('meta')
    .select('value')
    .where('key', '=', 'instance_id')
    .executeTakeFirstOrThrow()
  return row.value
}
