import { randomBytes } from 'node:crypto'
import { type Kysely, sql } from 'kysely'
import type { Store } from '../domain/store.ts'
import type { GroupSync } from './group-sync.ts'
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

/** Where what is written ends up. */
export type Disk = Pick<GroupSync, 'noted' | 'settle'>

/**
 * The store over an opened database: migrates it, then serves from it. Takes the connection over: `close` ends it,
 * and so does a failure here. Each method that writes waits for the disk, whose errors are its own too. Errors: those of `migrate`.
 */
export async function createSqlStore(db: Kysely<Tables>, disk: Disk): Promise<Store> {
  const durable = () => disk.settle()
  const lasting = <Part extends Methods<Part>>(part: Part) => withDisk(part, disk)
  try {
    await migrate(db)
    const instanceId = await keepInstanceId(db)
    await durable()
    return {
      sandboxes: createSandboxStore(db, durable),
      events: lasting(createLifecycleEventStore(db)),
      templates: lasting(createTemplateStore(db)),
      builds: lasting(createBuildStore(db)),
      forkBuilds: createBuildStore(db),
      tags: lasting(createTagStore(db)),
      buildLogs: lasting(createBuildLogStore(db)),
      layers: lasting(createLayerStore(db)),
      templateFiles: lasting(createTemplateFileStore(db)),
      privateImages: lasting(createPrivateImageStore(db)),
      teams: lasting(createTeamStore(db)),
      apiKeys: lasting(createApiKeyStore(db)),
      teamSamples: lasting(createTeamSampleStore(db)),
      sandboxMetrics: lasting(createSandboxMetricsStore(db)),
      logs: lasting(createSandboxLogStore(db)),
      webhooks: lasting(createWebhookStore(db)),
      nodeStatus: lasting(createNodeStatusStore(db)),
      warmGuests: lasting(createWarmGuestStore(db)),
      runtimes: () => findRuntimes(db),
      instanceId,
      durable,
      async close() {
        // None is under way then, of a file that is about to be closed. SQLite brings out at its end what this couldn't.
        await durable().catch(() => {})
        await db.destroy()
      },
    }
  } catch (error) {
    await db.destroy()
    throw error
  }
}

/** Members that can be awaited, and nothing else. */
type Methods<Part> = { [Name in keyof Part]: (...args: never[]) => Promise<unknown> }

/** The same methods, each of which waits for the disk where something was written meanwhile. */
function withDisk<Part extends Methods<Part>>(part: Part, disk: Disk): Part {
  const entries = Object.entries(part) as [string, (...args: unknown[]) => Promise<unknown>][]
  const methods = entries.map(([name, method]) => [
    name,
    async (...args: unknown[]) => {
      const before = disk.noted()
      const result = await method(...args)
      if (disk.noted() !== before) await disk.settle()
      return result
    },
  ])
  return Object.fromEntries(methods) as Part
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
