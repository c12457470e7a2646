/**
 * A control plane whose server can be killed at any step: the store and the guests live on, all
 * else is made anew. Between store and runtime on one side and the use cases on the other each step may fail.
 */
import type { ControlContext } from '../../src/control/context.ts'
import { createEndings } from '../../src/control/endings.ts'
import { createExpiry, type Expiry } from '../../src/control/expiry.ts'
import { createLifecycle } from '../../src/control/lifecycle.ts'
import { createOrphans } from '../../src/control/orphans.ts'
import { reconcile } from '../../src/control/reconcile.ts'
import { putStockTemplate } from '../../src/control/stock-template.ts'
import { createWakeSandbox } from '../../src/control/wake-sandbox.ts'
import { ServerError } from '../../src/domain/error.ts'
import type { SandboxDirectory, WakeRequest, WakeSandbox } from '../../src/domain/live-sandbox.ts'
import type { Runtime } from '../../src/domain/runtime.ts'
import type { Store } from '../../src/domain/store.ts'
import { createEnvd } from '../../src/envd/envd.ts'
import { createSandboxTable } from '../../src/envd/sandbox-table.ts'
import { createKeyedQueue } from '../../src/lib/keyed-queue.ts'
import { silentLog } from '../../src/lib/log.ts'
import { createManager } from '../../src/orchestrator/manager.ts'
import { createWarmGuests } from '../../src/orchestrator/warm-guests.ts'
import { openSqliteStore } from '../../src/store/dialects/sqlite.ts'
import { createTestBuilder, createTestStock, openAdmission, openTestArchives } from '../support/control.ts'
import { runtimeParts, storeParts, withFailpoints } from '../support/failpoints.ts'
import type { Random } from './random.ts'
import { type ModelRuntimes, openRuntimes } from './runtimes.ts'

/** What the steps of a dead server end with. */
class Crash extends Error {}

export interface World extends AsyncDisposable {
  /** As the present server sees it */
  control: ControlContext
  directory: SandboxDirectory
  wake: WakeSandbox
  expiry: Expiry
  /** Beside every fault, for looking at the truth */
  store: Store
  runtime: Runtime
  runtimes: ModelRuntimes
  clock: { now(): number; jump(ms: number): void }
  /** What happened to each sandbox, for telling of a failure */
  history(id: string): string[]
  note(id: string, what: string): void
  /** How often a step fails from now on, 0 … 1 */
  faultRate: number
  /** The points at which faults have struck */
  struck: Map<string, number>
  /** Ends the present server wherever its steps are: from now on each of them fails */
  crash(): void
  isCrashed(): boolean
  /** A new server over what is left, after its first reconciliation */
  restart(): Promise<void>
}

/** Longest time that anything in here may take, in ms. */
const patienceMs = 60_000
export const patience = () => AbortSignal.timeout(patienceMs)

export async function createWorld(random: Random): Promise<World> {
  const store = await openSqliteStore({ path: ':memory:' })
  const clock = createClock()
  const runtimes = await openRuntimes(store.instanceId)
  await store.teams.create({ id: 'team', name: 'team', slug: 'team', createdAt: 0, limits: {} })
  const sizes = { cpuCount: 2, memoryMb: 512, diskMb: 1024 }
  const truth = runtimes.create()
  const { image } = runtimes
  await putStockTemplate(store, { name: 'base', image, runtime: truth.name, ...sizes }, 0)
  const { archives, removeArchives } = await openTestArchives(store, clock)

  const notes = new Map<string, string[]>()
  const note = (id: string, what: string) => {
    const known = notes.get(id) ?? []
    notes.set(id, known)
    known.push(what)
  }

  const world = {
    history: (id: string) => notes.get(id) ?? [],
    note,
    store,
    runtime: truth,
    runtimes,
    clock,
    faultRate: 0,
    struck: new Map<string, number>(),
    ...live(),
    async restart() {
      await world.control.lifecycle.idle()
      await world.expiry.idle()
      await world.control.endings.idle()
      // What a runtime remembers of images is true for as long as it is the only one that makes any.
      Object.assign(world, { runtime: runtimes.create(), ...live() })
      const rate = world.faultRate
      world.faultRate = 0
      await reconcile(world.control, patience())
      world.faultRate = rate
    },
    async [Symbol.asyncDispose]() {
      await runtimes.dispose()
      await store.close()
      await removeArchives()
    },
  } satisfies World
  return world

  /** One server's life. */
  function live() {
    let dead = false
    const log = (level: string) => (fields: object, message: string) => {
      const { sandboxId, err, ...rest } = fields as { sandboxId?: string; err?: unknown }
      if (sandboxId !== undefined)
        note(sandboxId, `${level}: ${message} ${JSON.stringify(rest)} ${err ?? ''}`)
    }
    const notingLog = { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') }
    const hook = (point: string, [first]: readonly unknown[]) => {
      if (dead) throw new Crash(point)
      if (!random.chance(world.faultRate)) return
      const id = typeof first === 'string' ? first : (first as { sandboxId?: string } | undefined)?.sandboxId
      if (id !== undefined) note(id, `fault at ${point}`)
      world.struck.set(point, (world.struck.get(point) ?? 0) + 1)
      if (point.startsWith('store.')) throw new Error(`disk I/O error at ${point}`)
      throw new ServerError(
        random.pick(['internal', 'unavailable', 'resource_exhausted']),
        `fault at ${point}`,
      )
    }
    const faulty = withFailpoints(runtimes.create(), 'runtime', hook, runtimeParts)
    const directory = createSandboxTable({ envd: createEnvd({ log: silentLog }) })
    const faultyStore = withFailpoints(store, 'store', hook, storeParts)
    const admission = openAdmission(faultyStore, clock)
    const warm = createWarmGuests({
      ...{ runtime: faulty, store: faultyStore.warmGuests, defaultUser: 'root', log: silentLog },
      maxMemoryMb: 0,
      labelOf: (templateId) => templateId,
      maxGuests: 8,
      admit: admission.enterAhead,
      isTagged: async () => true,
    })
    const node = createManager({
      runtime: faulty,
      warm,
      carrier: directory,
      log: silentLog,
      defaultUser: 'root',
    })
    const parts = { store: faultyStore, node, clock, log: notingLog }
    const builder = createTestBuilder({ ...parts, runtime: faulty, archives })
    const lifecycle = createLifecycle(parts)
    const telemetry = { operation() {}, request() {} }
    const control = {
      ...parts,
      lifecycle,
      endings: createEndings({ lifecycle, telemetry, log: notingLog }),
      admission,
      builder,
      stock: createTestStock({ ...parts, runtime: faulty, builder }),
      archives,
      templateTurns: createKeyedQueue(),
      orphans: createOrphans({ graceMs: 0 }),
      telemetry,
      caughtUp: async () => {},
    }
    const wake = createWakeSandbox(control, (id) => directory.find(id) !== undefined)
    return {
      control,
      directory,
      async wake(id: string, request: WakeRequest, signal: AbortSignal) {
        return (await wake(id, request, signal)) ? directory.find(id) : undefined
      },
      expiry: createExpiry(control),
      crash: () => {
        for (const known of notes.values()) known.push('crash')
        dead = true
      },
      isCrashed: () => dead,
    }
  }
}

function createClock() {
  let now = 1_800_000_000_000
  return {
    now: () => {
      now += 0.001
      return now
    },
    jump(ms: number) {
      now += ms
    },
  }
}
