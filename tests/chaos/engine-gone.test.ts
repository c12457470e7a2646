import Docker from 'dockerode'
import { Sandbox } from 'e2b'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { databasePath } from '../../src/main/state-dir.ts'
import { openSqliteStore } from '../../src/store/dialects/sqlite.ts'
import { type EngineProxy, startEngineProxy } from '../support/engine-proxy.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

let proxy: EngineProxy
let server: TestServer
beforeAll(async () => {
  proxy = await startEngineProxy()
  server = await startTestServer({ env: { E2B_SERVER_RUNTIME: 'docker', DOCKER_HOST: proxy.dockerHost } })
})
afterAll(async () => {
  await proxy.resume()
  await server[Symbol.asyncDispose]()
  await proxy[Symbol.asyncDispose]()
})

async function create(): Promise<{ status: number; ms: number }> {
  const begun = Date.now()
  const { status } = await fetch(`${server.url}/v2/sandboxes`, {
    method: 'POST',
    headers: { 'x-api-key': server.apiKey, 'content-type': 'application/json' },
    body: '{"templateID":"base"}',
  })
  return { status, ms: Date.now() - begun }
}

test.each([
  ['dead', () => proxy.stop()],
  ['hung', () => proxy.hang()],
])('engine %s: 503 within 2 s, running sandboxes go on, and it recovers by itself', async (_name, fail) => {
  const sandbox = await Sandbox.create({ timeoutMs: 300_000 })
  await fail()

  for (let attempt = 0; attempt < 3; attempt++) {
    const { status, ms } = await create()
    expect(status).toBe(503)
    expect(ms).toBeLessThan(2_000)
  }
  expect((await sandbox.commands.run('echo alive')).stdout).toBe('alive\n')
  expect(await sandbox.isRunning()).toBe(true)

  await proxy.resume()
  await expect.poll(async () => (await create()).status, { timeout: 15_000, interval: 200 }).toBe(201)
  expect(await sandbox.kill()).toBe(true)
})

test.each([
  ['dead', () => proxy.stop()],
  ['hung', () => proxy.hang()],
])('engine %s: a kill is answered, holds, and is carried out when it is back', async (_name, fail) => {
  const sandbox = await Sandbox.create({ timeoutMs: 300_000 })
  await fail()
  expect(await sandbox.kill()).toBe(true)
  expect(await sandbox.isRunning()).toBe(false)
  expect(await sandbox.kill()).toBe(false)
  expect((await Sandbox.list().nextItems()).map(({ sandboxId }) => sandboxId)).not.toContain(
    sandbox.sandboxId,
  )
  const store = await openSqliteStore({ path: databasePath(server.stateDir) })
  try {
    const docker = new Docker()
    const filters = { label: [`e2b-server.sandbox=${sandbox.sandboxId}`] }
    expect(await docker.listContainers({ all: true, filters })).toHaveLength(1)
    await proxy.resume()
    await expect.poll(() => store.sandboxes.find(sandbox.sandboxId), { timeout: 15_000 }).toBeUndefined()
    expect(await docker.listContainers({ all: true, filters })).toEqual([])
  } finally {
    await store.close()
  }
})
