/** The control plane with a real store, manager and guests, but for the container engine: the process runtime. */

import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Admission, createAdmission } from '../../src/control/admission.ts'
import type { ControlContext } from '../../src/control/context.ts'
import { createEndings } from '../../src/control/endings.ts'
import { createLifecycle } from '../../src/control/lifecycle.ts'
import { createOrphans } from '../../src/control/orphans.ts'
import {
  createStockTemplates,
  type StockParts,
  type StockTemplates,
} from '../../src/control/stock/stock-templates.ts'
import { putStockTemplate } from '../../src/control/stock-template.ts'
import type { SandboxDirectory } from '../../src/domain/live-sandbox.ts'
import type { Runtime } from '../../src/domain/runtime.ts'
import type { Sandbox } from '../../src/domain/sandbox.ts'
import type { SandboxLogSink } from '../../src/domain/sandbox-log.ts'
import type { StockRecipe } from '../../src/domain/stock-recipe.ts'
import type { Store } from '../../src/domain/store.ts'
import { unlimited } from '../../src/domain/team.ts'
import type { Telemetry } from '../../src/domain/telemetry.ts'
import type { Template } from '../../src/domain/template.ts'
import type { TemplateArchives } from '../../src/domain/template-archives.ts'
import { noDefaults, type TemplateBuild } from '../../src/domain/template-build.ts'
import type { TemplateBuilder } from '../../src/domain/template-builder.ts'
import { createEnvd } from '../../src/envd/envd.ts'
import { createSandboxTable } from '../../src/envd/sandbox-table.ts'
import { type Clock, systemClock } from '../../src/lib/clock.ts'
import { createKeyedQueue } from '../../src/lib/keyed-queue.ts'
import { silentLog } from '../../src/lib/log.ts'
import { createMachine } from '../../src/orchestrator/machine.ts'
import { createManager } from '../../src/orchestrator/manager.ts'
import { createWarmGuests, type WarmGuests } from '../../src/orchestrator/warm-guests.ts'
import type { Faults } from '../../src/runtimes/process/faults.ts'
import { createProcessRuntime } from '../../src/runtimes/process/runtime.ts'
import { openSqliteStore } from '../../src/store/dialects/sqlite.ts'
import { openArchives } from '../../src/templates/archives.ts'
import { type BuilderOptions, createBuilder } from '../../src/templates/builder.ts'
import { agentBinary } from './agent.ts'

export interface TestControl extends AsyncDisposable {
  control: ControlContext
  directory: SandboxDirectory
  runtime: Runtime
  /** None is started ahead unless a test runs it */
  warm: WarmGuests
  /** Ids of the guests that exist, known to the store or not, once all ends that are answered are carried out */
  guests(): Promise<string[]>
}

/** Disposing destroys every guest and image. */
export async function startControl({
  faults = {},
  clock = systemClock(),
  logs,
  orphanGraceMs = 0,
  recipes = [],
  telemetry = { operation() {}, request() {} },
}: {
  faults?: Faults
  clock?: Clock
  /** Where what processes do is written down */
  logs?: SandboxLogSink
  orphanGraceMs?: number
  /** Of stock templates beside `base` */
  recipes?: StockRecipe[]
  /** Is told what is measured */
  telemetry?: Telemetry
} = {}): Promise<TestControl> {
  const store = await openSqliteStore({ path: ':memory:' })
  const { instanceId } = store
  const runtime = createProcessRuntime({
    guestBinary: agentBinary,
    instanceId,
    acknowledgeNoIsolation: true,
    faults,
    log: silentLog,
  })
  const teamId = 'team'
  const directory = createSandboxTable({
    envd: createEnvd({ log: silentLog }),
    writeLog: logs && ((sandboxId, entry) => logs.write({ ...entry, sandboxId, teamId })),
  })
  const admission = openAdmission(store, clock)
  const warm = createWarmGuests({
    ...{
      runtime,
      store: store.warmGuests,
      defaultUser: 'root',
      labelOf: (templateId) => templateId,
      maxMemoryMb: 1_024,
      maxGuests: 8,
      log: silentLog,
    },
    admit: admission.enterAhead,
    isTagged: async ({ templateId, buildId }) =>
      (await store.tags.list(templateId)).some((tag) => tag.buildId === buildId),
  })
  const node = createManager({ runtime, warm, carrier: directory, log: silentLog, defaultUser: 'root' })
  const lifecycle = createLifecycle({ store, node, clock, log: silentLog })
  const endings = createEndings({ lifecycle, telemetry, log: silentLog })
  await store.teams.create({ id: 'team', name: 'team', slug: 'team', createdAt: 0, limits: {} })
  const sizes = { cpuCount: 2, memoryMb: 512, diskMb: 1024 }
  await putStockTemplate(store, { name: 'base', image: 'none', runtime: runtime.name, ...sizes }, 0)
  const anyTime = () => AbortSignal.timeout(20_000)
  const { archives, removeArchives } = await openTestArchives(store, clock)
  const builder = createTestBuilder({ runtime, store, archives, clock })
  const stock = createTestStock({ runtime, store, builder, clock }, recipes)
  return {
    control: {
      store,
      node,
      lifecycle,
      endings,
      admission,
      builder,
      archives,
      stock,
      templateTurns: createKeyedQueue(),
      orphans: createOrphans({ graceMs: orphanGraceMs }),
      caughtUp: async () => {},
      telemetry,
      clock,
      log: silentLog,
    },
    directory,
    runtime,
    warm,
    async guests() {
      await endings.idle()
      return (await runtime.list(anyTime())).map(({ sandboxId }) => sandboxId).sort()
    },
    async [Symbol.asyncDispose]() {
      await builder.close()
      await stock.close()
      await lifecycle.idle()
      await endings.idle()
      for (const handle of await runtime.list(anyTime())) await runtime.destroy(handle, anyTime())
      for (const image of await runtime.images.list(anyTime())) await runtime.images.remove(image, anyTime())
      await runtime.close()
      await store.close()
      await removeArchives()
    },
  }
}

/** As a server without isolation has one. */
export function createTestBuilder({
  archives,
  ...parts
}: Pick<BuilderOptions, 'runtime' | 'store' | 'clock'> & { archives: TemplateArchives }): TemplateBuilder {
  return createBuilder({
    ...parts,
    openFile: archives.open,
    removeFile: archives.remove,
    admit: async () => () => {},
    quotaBytes: 2 ** 30,
    defaults: { user: 'root', workdir: null },
    provision: null,
    readyMs: 600_000,
    commandEnv: {},
    maxRunning: 8,
    log: silentLog,
  })
}

/** Whose templates are built when they are asked for, unless that is said. */
export function createTestStock(
  {
    runtime,
    base = { name: 'base', image: null },
    store,
    builder,
    clock,
  }: Pick<StockParts, 'store' | 'builder' | 'clock'> &
    Partial<Pick<StockParts, 'base'>> & { runtime: Runtime },
  recipes: readonly StockRecipe[] = [],
  { buildsOnDemand = true }: { buildsOnDemand?: boolean } = {},
): StockTemplates {
  const { name, images } = runtime
  return createStockTemplates({
    ...{ store, builder, clock, base },
    runtime: name,
    images,
    recipes,
    buildsOnDemand,
    log: silentLog,
  })
}

/** Archives in a folder of their own, of at most 1 MB, and 2 MB for each team. */
export async function openTestArchives(store: Pick<Store, 'templateFiles'>, clock: Clock) {
  const folder = await mkdtemp(join(tmpdir(), 'e2b-archives-'))
  const files = store.templateFiles
  const bounds = { maxBytes: 1_000_000, teamMaxBytes: 2_000_000, keepFreeBytes: 0 }
  const archives = await openArchives({ folder, files, ...bounds, clock, log: silentLog })
  return { archives, folder, removeArchives: () => rm(folder, { recursive: true, force: true }) }
}

/** Admits up to a hundred starts at once unless that is said, on a machine however full. */
export function openAdmission(store: Store, clock: Clock, { maxStarting = 100 } = {}): Admission {
  return createAdmission({
    store,
    clock,
    machine: createMachine([]),
    status: () => 'ready',
    limits: unlimited,
    maxStarting,
    startWaitMs: 30_000,
    keepFree: { memoryMb: 0, diskMb: 0 },
  })
}

/** What `createSandbox` takes, with the parts that a test doesn't care about. */
export const anySandbox = {
  teamId: 'team',
  template: 'base',
  timeoutS: 60,
  secure: false,
  metadata: {},
  envVars: {},
  allowInternetAccess: null,
  network: null,
  onTimeout: 'kill',
  autoPauseMemory: true,
  autoResume: false,
} as const

/** A row as a crash may leave it. */
export function rowOf(row: Partial<Sandbox> & Pick<Sandbox, 'id' | 'state'>): Sandbox {
  return {
    teamId: 'team',
    templateId: 'base',
    buildId: null,
    alias: null,
    startedAt: 1,
    endAt: Number.MAX_SAFE_INTEGER,
    cpuCount: 1,
    memoryMb: 128,
    diskMb: 1024,
    metadata: {},
    envVars: {},
    envdAccessToken: null,
    allowInternetAccess: null,
    timeoutS: 300,
    onTimeout: 'kill',
    autoPauseMemory: true,
    autoResume: false,
    pausedWithMemory: null,
    trafficAccessToken: null,
    network: null,
    endReason: null,
    idempotency: null,
    runtime: 'process',
    image: 'none',
    defaults: noDefaults,
    handle: null,
    ...row,
  }
}

/** A template with the parts that a test doesn't care about. */
export function templateOf(template: Partial<Template>): Template {
  return {
    id: 'tbase',
    teamId: 'team',
    aliases: [],
    isPublic: false,
    kind: 'template',
    createdAt: 1,
    updatedAt: 1,
    lastSpawnedAt: null,
    spawnCount: 0,
    ...template,
  }
}

/** A ready build with the parts that a test doesn't care about. */
export function buildOf(build: Partial<TemplateBuild>): TemplateBuild {
  return {
    id: randomUUID(),
    templateId: 'tbase',
    teamId: 'team',
    status: 'ready',
    image: 'none',
    runtime: 'process',
    cpuCount: 1,
    memoryMb: 128,
    diskMb: 1024,
    defaults: noDefaults,
    origin: null,
    reason: null,
    createdAt: 1,
    startedAt: null,
    finishedAt: null,
    ...build,
  }
}
