/** A builder with a real store and guests, but for the container engine: the process runtime. */
import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { ServerError } from '../../src/domain/error.ts'
import type { Runtime } from '../../src/domain/runtime.ts'
import type { Store } from '../../src/domain/store.ts'
import { noDefaults, type TemplateBuild } from '../../src/domain/template-build.ts'
import type { BuildSpec, BuildStep, TemplateBuilder } from '../../src/domain/template-builder.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { sleep } from '../../src/lib/deadline.ts'
import { newId } from '../../src/lib/ids.ts'
import { silentLog } from '../../src/lib/log.ts'
import type { Faults } from '../../src/runtimes/process/faults.ts'
import { createProcessRuntime } from '../../src/runtimes/process/runtime.ts'
import { openSqliteStore } from '../../src/store/dialects/sqlite.ts'
import { type BuilderOptions, createBuilder } from '../../src/templates/builder.ts'
import { agentBinary } from './agent.ts'

export interface TestBuilder extends AsyncDisposable {
  store: Store
  runtime: Runtime
  builder: TemplateBuilder
  /** Archives by their hash */
  files: Map<string, Buffer>
  /** A build that is `waiting`, of a template of its own unless that is said. */
  create(build?: Partial<TemplateBuild>): Promise<TemplateBuild>
  /** Makes a build and resolves when it is over. */
  build(spec?: Partial<BuildSpec>, build?: Partial<TemplateBuild>): Promise<Built>
  /** Resolves when a build is over. */
  ended(buildId: string): Promise<Built>
  /** Resolves when a line that has this in it is in a build's log. */
  said(buildId: string, text: string): Promise<void>
  /** Ids of the guests that exist */
  guests(): Promise<string[]>
}

export interface Built {
  build: TemplateBuild
  /** Messages of its log, without those of the first and last line */
  log: string[]
}

const patience = () => AbortSignal.timeout(30_000)

/** `image`: what builds begin with unless they say. Disposing removes every guest and image. */
export async function startBuilder({
  faults = {},
  image = 'none',
  ...options
}: { faults?: Faults; image?: string } & Partial<BuilderOptions> = {}): Promise<TestBuilder> {
  const store = await openSqliteStore({ path: ':memory:' })
  const { instanceId } = store
  const owned = { guestBinary: agentBinary, instanceId, acknowledgeNoIsolation: true, log: silentLog }
  const { runtime = createProcessRuntime({ ...owned, faults }) } = options
  const files = new Map<string, Buffer>()
  const clock = systemClock()
  const builder = createBuilder({
    store,
    openFile: async (_team, hash) => {
      const archive = files.get(hash)
      if (archive === undefined) throw new ServerError('not_found', 'There is no such archive.')
      return Readable.from([archive])
    },
    removeFile: async (teamId, hash) => {
      files.delete(hash)
      await store.templateFiles.remove(teamId, hash)
    },
    admit: async () => () => {},
    quotaBytes: 2 ** 40,
    defaults: { user: 'root', workdir: null },
    provision: null,
    readyMs: 600_000,
    commandEnv: {},
    maxRunning: 8,
    clock,
    log: silentLog,
    ...options,
    runtime,
  })
  await store.teams.create({ id: 'team', name: 'team', slug: 'team', createdAt: 0, limits: {} })

  const logOf = async (buildId: string) => {
    const entries = await store.buildLogs.list({ buildId, limit: 100_000 })
    return entries.map(({ message }) => message)
  }
  const test: TestBuilder = {
    store,
    runtime,
    builder,
    files,
    async create(build = {}) {
      const now = clock.now()
      const templateId = build.templateId ?? newId()
      const row: TemplateBuild = {
        ...{
          id: randomUUID(),
          templateId,
          teamId: 'team',
          status: 'waiting',
          image: null,
          runtime: runtime.name,
        },
        ...{ cpuCount: 1, memoryMb: 512, diskMb: 1024, defaults: noDefaults, origin: null, reason: null },
        ...{ createdAt: now, startedAt: null, finishedAt: null },
        ...build,
      }
      const template = {
        ...{ id: templateId, teamId: row.teamId, aliases: [], isPublic: false, kind: 'template' as const },
        ...{ createdAt: now, updatedAt: now, lastSpawnedAt: null, spawnCount: 0 },
      }
      const isNew = (await store.templates.find(templateId)) === undefined
      await store.builds.create(row, isNew ? { template } : {})
      return row
    },
    async build(spec = {}, build = {}) {
      const row = await test.create(build)
      await builder.start(row, buildSpec({ from: { image, credentials: null }, ...spec }))
      return test.ended(row.id)
    },
    async ended(buildId) {
      for (;;) {
        const build = await store.builds.find(buildId)
        if (build?.status === 'ready' || build?.status === 'error') {
          while (builder.owns(buildId)) await sleep(5)
          return { build, log: (await logOf(buildId)).slice(1, -1) }
        }
        await sleep(20)
      }
    },
    async said(buildId, text) {
      while (!(await logOf(buildId)).some((message) => message.includes(text))) await sleep(20)
    },
    guests: async () => (await runtime.list(patience())).map(({ sandboxId }) => sandboxId),
    async [Symbol.asyncDispose]() {
      await builder.close()
      for (const handle of await runtime.list(patience())) await runtime.destroy(handle, patience())
      for (const image of await runtime.images.list(patience()))
        await runtime.images.remove(image, patience())
      await runtime.close()
      await store.close()
    },
  }
  return test
}

export function buildSpec(spec: Partial<BuildSpec> = {}): BuildSpec {
  return {
    from: { image: 'none', credentials: null },
    steps: [],
    force: false,
    startCmd: null,
    readyCmd: null,
    minFreeDiskMb: null,
    tags: ['default'],
    keepAs: null,
    ...spec,
  }
}

export const run = (command: string, more: { user?: string; force?: boolean } = {}): BuildStep => ({
  type: 'RUN',
  command,
  user: more.user ?? null,
  force: more.force ?? false,
})
export const env = (...pairs: [string, string][]): BuildStep => ({ type: 'ENV', pairs, force: false })
export const workdir = (path: string): BuildStep => ({ type: 'WORKDIR', path, force: false })
export const user = (name: string): BuildStep => ({ type: 'USER', name, force: false })
export const copy = (
  source: string,
  destination: string,
  more: { filesHash: string; mode?: number; user?: string },
): BuildStep => ({
  ...{ type: 'COPY', source, destination, filesHash: more.filesHash, force: false },
  ...{ user: more.user ?? null, mode: more.mode ?? null },
})
