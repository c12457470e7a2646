/**
 * `kill -9` of the server at each step of a template's build. After the restart the build is over, as
 * `error` unless it was ready already, nothing of it is left but layers that a row speaks for, and the same build is made
 * from where it was broken off.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { baseImageName } from '../../images/base/build.mjs'
import type { Store } from '../../src/domain/store.ts'
import type { Collected } from '../../src/domain/template-builder.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { abortable, sleep } from '../../src/lib/deadline.ts'
import { forEachLimit } from '../../src/lib/for-each-limit.ts'
import { silentLog } from '../../src/lib/log.ts'
import { readConfig } from '../../src/main/config.ts'
import { chooseRuntime } from '../../src/main/runtimes.ts'
import { openSqliteStore } from '../../src/store/dialects/sqlite.ts'
import { createBuilder } from '../../src/templates/builder.ts'
import { bundleCrashServer, type CrashServer, startCrashServer } from './support/crash-server-process.ts'
import { disagreements } from './support/disagreements.ts'

const stateDir = mkdtempSync(join(tmpdir(), 'e2b-crash-'))
const isDeep = process.env.E2B_TEST_DEEP !== undefined
let store: Store
let server: CrashServer

beforeAll(async () => {
  await bundleCrashServer()
  server = await startCrashServer(stateDir)
  store = await openSqliteStore({ path: join(stateDir, 'e2b-server.db') })
}, 900_000)

afterAll(async () => {
  for (const { id, teamId } of await store.templates.list({})) {
    if (teamId !== null) await call('DELETE', `/templates/${id}`)
  }
  await emptyCache()
  await server.end()
  await store.close()
  rmSync(stateDir, { recursive: true, force: true })
}, 900_000)

/** New each time, so that nothing comes from the cache. */
let count = 0
const stepsOf = () => {
  count++
  return [
    { type: 'ENV', args: ['COUNT', String(count)] },
    { type: 'RUN', args: ['echo $COUNT > file', ''] },
    { type: 'USER', args: ['worker'] },
  ]
}
const orderOf = async (steps: object[]) => ({
  fromImage: await baseImageName(),
  steps,
  startCmd: 'sleep 600',
  readyCmd: 'true',
})

test('kill -9 in the middle of a build, at each step', { timeout: 900_000 }, async () => {
  // From the second build on the base is cached, as in all that follow.
  for (let number = 0; number < 2; number++) await buildInPeace(await orderOf(stepsOf()))
  const points = await server.steps()
  expect(points).toContain('runtime.snapshot:before')
  expect(points).toContain('store.layers.put:after')
  // What comes after one step is mostly what comes before the next.
  const chosen = [...points.entries()].filter(([, point]) => isDeep || point.endsWith(':before'))
  for (const [at, point] of chosen) await crashAt(at, point)
  console.log(`build crashes: ${chosen.length} of ${points.length} steps`)
})

/** Builds of one team that are asked for at a time: no more may run. */
const parallel = 20

test('kill -9 twice in bursts of builds: every image has an owner, and what nobody uses is freed', {
  timeout: 3_600_000,
}, async () => {
  const [templates, steps] = isDeep ? [50, 10] : [12, 5]
  await server.arm(null)
  // Half of what they do is alike, so that builds wait for each other.
  const orders = await Promise.all(
    Array.from({ length: templates }, (_, template) =>
      orderOf(
        Array.from({ length: steps }, (_, step) => {
          const text = step < steps / 2 ? `all ${step}` : `${template} ${step}`
          return { type: 'RUN', args: [`echo ${text} >> file`, ''] }
        }),
      ),
    ),
  )
  for (const dieAt of [10 * templates, 8 * templates, null]) {
    await server.arm(dieAt)
    const outcomes = new Set<string>()
    await forEachLimit(orders.entries(), parallel, async ([number, order]) => {
      const outcome = build(order, `burst-${number}`)
      // In peace nobody is lost.
      outcomes.add(dieAt === null ? await outcome : await outcome.catch(() => 'lost'))
    })
    if (dieAt === null) expect(outcomes).toEqual(new Set(['ready']))
    else {
      await abortable(server.ended, AbortSignal.timeout(60_000))
      server = await startCrashServer(stateDir)
    }
    await expect.poll(() => disagreements({ store, stateDir }), { timeout: 60_000 }).toEqual([])
  }
  const { layers } = await emptyCache()
  const left = await store.layers.list({})
  console.log(
    `build bursts: ${templates} templates of ${steps} steps, ${layers} layers freed, ${left.length} kept`,
  )
  // Some stay beside the images of builds for as long as these do.
  expect(layers).toBeGreaterThan(0)
  expect(await disagreements({ store, stateDir })).toEqual([])
})

/** As the server would, which is ended meanwhile. */
async function emptyCache(): Promise<Collected> {
  await server.end()
  const { instanceId } = store
  const state = { instanceId, runtimes: await store.runtimes() }
  const { runtime } = await chooseRuntime(readConfig({ stateDir }), state, silentLog)
  const builder = createBuilder({
    ...{
      runtime,
      store,
      provision: null,
      commandEnv: {},
      maxRunning: 1,
      readyMs: 1_000,
      quotaBytes: 0,
      log: silentLog,
      clock: systemClock(),
    },
    defaults: { user: 'user', workdir: null },
    openFile: () => Promise.reject(new Error('no files')),
    removeFile: async () => {},
    admit: async () => () => {},
  })
  const collected = await builder.collectGarbage(AbortSignal.timeout(600_000))
  await builder.close()
  await runtime.close()
  server = await startCrashServer(stateDir)
  return collected
}

async function crashAt(at: number, point: string): Promise<void> {
  const where = `killed at ${point} (${at})`
  const order = await orderOf(stepsOf())
  await server.arm(at)
  await build(order).catch(() => {})
  await abortable(server.ended, AbortSignal.timeout(60_000))
  server = await startCrashServer(stateDir)
  await expect.poll(() => disagreements({ store, stateDir }), { message: where, timeout: 30_000 }).toEqual([])
  const [last] = await store.builds.list({ isSnapshot: false, limit: 1 })
  if (last?.status === 'error') expect(last.reason?.message, where).toMatch(/server/i)
  await buildInPeace(order, where)
}

async function buildInPeace(order: object, where?: string): Promise<void> {
  await server.arm(null)
  expect(await build(order), where).toBe('ready')
  // The end of its guest, if it has one, comes after that, and is no step of the next build.
  const isOver = async () => {
    const steps = await server.steps()
    return !steps.includes('runtime.start:before') || steps.at(-1) === 'runtime.destroy:after'
  }
  await expect.poll(isOver, { timeout: 20_000 }).toBe(true)
}

/** Resolves with the status that a build ends in. */
async function build(order: object, name = `crash-${count}`): Promise<string> {
  const made = await call('POST', '/v3/templates', { name, cpuCount: 2, memoryMB: 512 })
  const { templateID, buildID } = JSON.parse(made) as { templateID: string; buildID: string }
  await call('POST', `/v2/templates/${templateID}/builds/${buildID}`, order)
  for (;;) {
    const { status } = JSON.parse(await call('GET', `/templates/${templateID}/builds/${buildID}/status`)) as {
      status: string
    }
    if (status === 'ready' || status === 'error') return status
    await sleep(100)
  }
}

async function call(method: string, path: string, body?: object): Promise<string> {
  const headers = { 'x-api-key': server.apiKey, ...(body && { 'content-type': 'application/json' }) }
  const answer = await fetch(`${server.url}${path}`, {
    method,
    headers,
    ...(body && { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(30_000),
  })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`)
  return text
}
