/**
 * `kill -9` of the Docker engine in the middle of operations. Its containers live on (live-restore), and once it is back
 * the server settles what was under way, without anybody's help.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Sandbox } from 'e2b'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Store } from '../../src/domain/store.ts'
import { baseImage } from '../../src/main/installation.ts'
import { openSqliteStore } from '../../src/store/dialects/sqlite.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { disagreements } from './support/disagreements.ts'
import { type OwnEngine, startOwnEngine } from './support/own-engine.ts'

let engine: OwnEngine
let server: TestServer
let store: Store
let env: Record<string, string>
beforeAll(async () => {
  engine = await startOwnEngine(baseImage()!)
  env = { E2B_SERVER_RUNTIME: 'docker', DOCKER_HOST: engine.dockerHost }
  // Rules made here would be none in the engine's own name space of networks.
  server = await startTestServer({ flags: ['--open-egress'], env })
  store = await openSqliteStore({ path: join(server.stateDir, 'e2b-server.db') })
}, 180_000)
afterAll(async () => {
  await store?.close()
  await server?.[Symbol.asyncDispose]()
  await engine?.[Symbol.asyncDispose]()
}, 180_000)

/** Also after a test that has failed, so that the next ones find nothing of it. */
afterEach(async () => {
  await engine.start()
  for (const row of await store.sandboxes.list({})) await Sandbox.kill(row.id)
  for (const snapshot of await store.templates.list({ kind: 'snapshot' }))
    await Sandbox.deleteSnapshot(snapshot.id)
  await expect.poll(remainders, { timeout: 60_000, interval: 200 }).toEqual([])
}, 180_000)

const remainders = async () => [...(await disagree()), ...(await store.sandboxes.list({}))]
const disagree = () => disagreements({ store, stateDir: server.stateDir, env })

const patient = { timeout: 180_000 }

const call = (method: string, path: string, body: object = {}) =>
  fetch(`${server.url}${path}`, {
    method,
    headers: { 'x-api-key': server.apiKey, 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(60_000),
  })

const operations = [
  { name: 'create', run: () => call('POST', '/v2/sandboxes', { templateID: 'base' }), keepsProcesses: true },
  {
    name: 'pause with memory',
    run: (id: string) => call('POST', `/sandboxes/${id}/pause`),
    keepsProcesses: true,
  },
  {
    name: 'pause without memory',
    run: (id: string) => call('POST', `/sandboxes/${id}/pause`, { memory: false }),
    keepsProcesses: false,
  },
  {
    name: 'resume',
    prepare: (id: string) => call('POST', `/sandboxes/${id}/pause`),
    run: (id: string) => call('POST', `/v2/sandboxes/${id}/connect`),
    keepsProcesses: true,
  },
  { name: 'snapshot', run: (id: string) => call('POST', `/sandboxes/${id}/snapshots`), keepsProcesses: true },
]

describe.each(operations)('the engine is killed during: $name', ({ prepare, run, keepsProcesses }) => {
  // Before the engine has begun, in the middle, and about when it is done.
  test.each([2, 30, 150])('%i ms after its beginning', patient, async (afterMs) => {
    const sandbox = await Sandbox.create({ timeoutMs: 600_000 })
    const id = sandbox.sandboxId
    await sandbox.files.write('kept', 'kept')
    const { pid } = await sandbox.commands.run('sleep 10000', { background: true, timeoutMs: 0 })
    await prepare?.(id)
    const outcome = run(id).catch(() => undefined)
    await sleep(afterMs)
    await engine.kill()
    const answer = await outcome
    expect(answer?.status ?? 503).toBeLessThan(504)
    const refused = await call('POST', '/v2/sandboxes', { templateID: 'base' })
    expect(refused.status).toBe(503)
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)

    await engine.start()
    await expect.poll(disagree, { timeout: 60_000, interval: 200 }).toEqual([])
    const again = await Sandbox.connect(id, { timeoutMs: 600_000 }).catch((error) => {
      // What the engine says is in the server's log alone.
      throw new Error(server.output().slice(-4000), { cause: error })
    })
    expect(await again.files.read('kept')).toBe('kept')
    const pids = (await again.commands.list()).map((process) => process.pid)
    if (keepsProcesses) expect(pids).toEqual([pid])
  })
})

test('it is killed during a kill: the sandbox is gone in the end', patient, async () => {
  const sandbox = await Sandbox.create({ timeoutMs: 600_000 })
  const outcome = call('DELETE', `/sandboxes/${sandbox.sandboxId}`).catch(() => undefined)
  await sleep(20)
  await engine.kill()
  await outcome
  expect(await sandbox.isRunning()).toBe(false)
  await engine.start()
  await expect.poll(remainders, { timeout: 60_000 }).toEqual([])
})
