import { type ExpressionBuilder, type Kysely, type SqlBool, sql } from 'kysely'
import { ServerError } from '../../domain/error.ts'
import type { NewLifecycleEvent } from '../../domain/lifecycle-event.ts'
import type { Sandbox, SandboxFilter, SandboxStore, SandboxUpdate } from '../../domain/sandbox.ts'
import type { SandboxRow, Tables } from '../schema.ts'
import { compiledOnce } from './compiled-once.ts'
import { appendEvent } from './lifecycle-events.ts'
import { countSpawn } from './templates.ts'

/** Sandboxes that exist; a row that is gone is a sandbox that is gone. `durable`: as `Store.durable`. */
export function createSandboxStore(db: Kysely<Tables>, durable: () => Promise<void>): SandboxStore {
  const byId = compiledOnce(db, (id) => db.selectFrom('sandboxes').selectAll().where('id', '=', id))
  /** Nobody waits; who does, next, is told where it fails. */
  const soon = () => void durable().catch(() => {})

  return {
    async create(sandbox, event) {
      await together(db, event, async (part) => {
        const { numInsertedOrUpdatedRows } = await part
          .insertInto('sandboxes')
          .values(toRow(sandbox))
          .onConflict((conflict) => conflict.doNothing())
          .executeTakeFirstOrThrow()
        if (numInsertedOrUpdatedRows !== 1n) {
          throw new ServerError('conflict', `A sandbox with id '${sandbox.id}' exists already.`)
        }
        if (event !== undefined) await part.deleteFrom('warm_guests').where('id', '=', sandbox.id).execute()
      })
      if (event !== undefined) soon()
    },

    async find(id) {
      const [row] = await byId(id)
      return row && toSandbox(row)
    },

    async findByIdempotencyKey(teamId, key) {
      const row = await db
        .selectFrom('sandboxes')
        .selectAll()
        .where('team_id', '=', teamId)
        .where('idempotency_key', '=', key)
        .executeTakeFirst()
      return row && toSandbox(row)
    },

    async list(filter) {
      const order = filter.order ?? 'desc'
      let query = db
        .selectFrom('sandboxes')
        .selectAll()
        .where((where) => matches(where, filter))
        .orderBy('started_at', order)
        .orderBy('id', order)
      if (filter.limit !== undefined) query = query.limit(filter.limit)
      return (await query.execute()).map(toSandbox)
    },

    async count(filter) {
      const { count } = await db
        .selectFrom('sandboxes')
        .select((select) => select.fn.countAll<number>().as('count'))
        .where((where) => matches(where, filter))
        .executeTakeFirstOrThrow()
      return Number(count)
    },

    async usage(filter) {
      const rows = await db
        .selectFrom('sandboxes')
        .select(({ fn }) => [
          'team_id',
          fn.countAll<number>().as('sandboxes'),
          fn.sum<number>('cpu_count').as('cpu_count'),
          fn.sum<number>('memory_mb').as('memory_mb'),
        ])
        .where((where) => matches(where, filter))
        .groupBy('team_id')
        .orderBy('team_id')
        .execute()
      return rows.map((row) => ({
        teamId: row.team_id,
        sandboxes: Number(row.sandboxes),
        cpuCount: Number(row.cpu_count),
        memoryMb: Number(row.memory_mb),
      }))
    },

    async update(id, update, { event, from, lazily = false } = {}) {
      await together(db, event, async (part) => {
        let query = part
          .updateTable('sandboxes')
          // Setting the id to itself keeps an empty update a valid statement.
          .set({ id, ...toColumns(update) })
          .where('id', '=', id)
        if (from !== undefined) query = query.where('state', '=', from)
        const { numUpdatedRows } = await query.executeTakeFirstOrThrow()
        if (numUpdatedRows === 1n) return
        const row = await part.selectFrom('sandboxes').select('state').where('id', '=', id).executeTakeFirst()
        if (row === undefined) throw new ServerError('not_found', `There is no sandbox with id '${id}'.`)
        throw new ServerError('conflict', `Sandbox "${id}" is ${row.state} meanwhile. Try again in a moment.`)
      })
      if (!lazily) await durable()
      else if (event !== undefined) soon()
    },

    async remove(id) {
      await db.deleteFrom('sandboxes').where('id', '=', id).execute()
    },
  }
}

/** A change and the event that tells of it, in one transaction. */
async function together(
  db: Kysely<Tables>,
  event: NewLifecycleEvent | undefined,
  change: (db: Kysely<Tables>) => Promise<void>,
): Promise<void> {
  if (event === undefined) {
    await change(db)
    return
  }
  await db.transaction().execute(async (transaction) => {
    await change(transaction)
    await appendEvent(transaction, event)
    if (event.type === 'created') await countSpawn(transaction, event.templateId, event.at)
  })
}

function matches(where: ExpressionBuilder<Tables, 'sandboxes'>, filter: SandboxFilter) {
  const { teamId, states, metadata, templateId, buildId, image, startedAfter, endAtMost, after } = filter
  const conditions = []
  if (teamId !== undefined) conditions.push(where('team_id', '=', teamId))
  if (states !== undefined) conditions.push(where('state', 'in', states))
  if (templateId !== undefined) conditions.push(where('template_id', '=', templateId))
  if (buildId !== undefined) conditions.push(where('build_id', '=', buildId))
  if (image !== undefined) conditions.push(where('image', '=', image))
  if (startedAfter !== undefined) conditions.push(where('started_at', '>=', startedAfter))
  if (endAtMost !== undefined) conditions.push(where('end_at', '<=', endAtMost))
  if (metadata !== undefined && Object.keys(metadata).length > 0) conditions.push(hasMetadata(metadata))
  if (after !== undefined) {
    conditions.push(
      where(
        where.refTuple('started_at', 'id'),
        filter.order === 'asc' ? '>' : '<',
        where.tuple(after.startedAt, after.id),
      ),
    )
  }
  return where.and(conditions)
}

/**
 * Whether every wanted pair is in the row's metadata. Both sides are read as JSON by the engine, so that no
 * character of a key means anything to it, as it would in a JSON path.
 */
function hasMetadata(wanted: Record<string, string>) {
  return sql<SqlBool>`not exists (
    select 1 from json_each(${JSON.stringify(wanted)}) as wanted
    where not exists (
      select 1 from json_each(sandboxes.metadata) as had
      where had.key = wanted.key and had.value = wanted.value
    )
  )`
}

function toColumns(update: SandboxUpdate): Partial<SandboxRow> {
  const columns: Partial<SandboxRow> = {}
  if (update.state !== undefined) columns.state = update.state
  if (update.startedAt !== undefined) columns.started_at = update.startedAt
  if (update.endAt !== undefined) columns.end_at = update.endAt
  if (update.handle !== undefined) columns.handle = update.handle && JSON.stringify(update.handle)
  if (update.onTimeout !== undefined) columns.on_timeout = update.onTimeout
  if (update.pausedWithMemory !== undefined) columns.paused_with_memory = fromFlag(update.pausedWithMemory)
  if (update.network !== undefined) columns.network = update.network && JSON.stringify(update.network)
  if (update.allowInternetAccess !== undefined) {
    columns.allow_internet_access = fromFlag(update.allowInternetAccess)
  }
  if (update.endReason !== undefined) columns.end_reason = update.endReason
  if (update.idempotency !== undefined) Object.assign(columns, toIdempotency(update.idempotency))
  return columns
}

function toRow(sandbox: Sandbox): SandboxRow {
  return {
    id: sandbox.id,
    team_id: sandbox.teamId,
    template_id: sandbox.templateId,
    build_id: sandbox.buildId,
    alias: sandbox.alias,
    state: sandbox.state,
    started_at: sandbox.startedAt,
    end_at: sandbox.endAt,
    timeout_s: sandbox.timeoutS,
    on_timeout: sandbox.onTimeout,
    auto_pause_memory: Number(sandbox.autoPauseMemory),
    auto_resume: Number(sandbox.autoResume),
    paused_with_memory: fromFlag(sandbox.pausedWithMemory),
    cpu_count: sandbox.cpuCount,
    memory_mb: sandbox.memoryMb,
    disk_mb: sandbox.diskMb,
    metadata: JSON.stringify(sandbox.metadata),
    env_vars: JSON.stringify(sandbox.envVars),
    envd_access_token: sandbox.envdAccessToken,
    allow_internet_access: fromFlag(sandbox.allowInternetAccess),
    traffic_access_token: sandbox.trafficAccessToken,
    network: sandbox.network && JSON.stringify(sandbox.network),
    runtime: sandbox.runtime,
    image: sandbox.image,
    defaults: JSON.stringify(sandbox.defaults),
    handle: sandbox.handle && JSON.stringify(sandbox.handle),
    end_reason: sandbox.endReason,
    ...toIdempotency(sandbox.idempotency),
  }
}

function toIdempotency(idempotency: Sandbox['idempotency']) {
  return {
    idempotency_key: idempotency?.key ?? null,
    idempotency_hash: idempotency?.requestHash ?? null,
  }
}

function toSandbox(row: SandboxRow): Sandbox {
  return {
    id: row.id,
    teamId: row.team_id,
    templateId: row.template_id,
    buildId: row.build_id,
    alias: row.alias,
    state: row.state,
    startedAt: row.started_at,
    endAt: row.end_at,
    timeoutS: row.timeout_s,
    onTimeout: row.on_timeout,
    autoPauseMemory: row.auto_pause_memory === 1,
    autoResume: row.auto_resume === 1,
    pausedWithMemory: toFlag(row.paused_with_memory),
    cpuCount: row.cpu_count,
    memoryMb: row.memory_mb,
    diskMb: row.disk_mb,
    metadata: JSON.parse(row.metadata),
    envVars: JSON.parse(row.env_vars),
    envdAccessToken: row.envd_access_token,
    allowInternetAccess: toFlag(row.allow_internet_access),
    trafficAccessToken: row.traffic_access_token,
    network: row.network === null ? null : JSON.parse(row.network),
    runtime: row.runtime,
    image: row.image,
    defaults: JSON.parse(row.defaults),
    handle: row.handle === null ? null : JSON.parse(row.handle),
    endReason: row.end_reason,
    idempotency:
      row.idempotency_key === null
        ? null
        : { key: row.idempotency_key, requestHash: row.idempotency_hash ?? '' },
  }
}

function fromFlag(flag: boolean | null): number | null {
  return flag === null ? null : Number(flag)
}

function toFlag(column: number | null): boolean | null {
  return column === null ? null : column === 1
}
