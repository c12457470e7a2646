import { afterEach, beforeEach, expect, test } from 'vitest'
import { startApi, type TestApi } from '../../../../tests/support/api.ts'
import { rowOf } from '../../../../tests/support/control.ts'

let api: TestApi
beforeEach(async () => {
  api = await startApi()
})
afterEach(() => api[Symbol.asyncDispose]())

const ask = (what: string, body?: unknown) =>
  api.ask(what, { headers: { 'x-admin-token': api.adminToken }, ...(body !== undefined && { body }) })

test('the node says what it is and what it does', async () => {
  await api.control.store.sandboxes.create(rowOf({ id: 'i1', state: 'running', cpuCount: 2, memoryMb: 512 }))
  await api.control.store.sandboxes.create(rowOf({ id: 'i2', state: 'paused', cpuCount: 4, memoryMb: 1024 }))
  const [node] = (await ask('GET /nodes')).json()
  expect(node).toMatchObject({
    id: api.control.store.instanceId,
    status: 'ready',
    version: '1.2.3',
    sandboxCount: 1,
    sandboxStartingCount: 0,
    createSuccesses: 0,
    createFails: 0,
    machineInfo: { cpuArchitecture: process.arch },
  })
  const { metrics } = node
  expect(metrics).toMatchObject({ allocatedCPU: 2, allocatedMemoryBytes: 512 * 2 ** 20 })
  expect(metrics.memoryUsedBytes).toBeGreaterThan(0)
  expect(metrics.memoryUsedBytes).toBeLessThan(metrics.memoryTotalBytes)
  expect(metrics.cpuCount).toBeGreaterThan(0)
  expect(metrics.disks[0]).toMatchObject({
    mountPoint: expect.stringMatching(/^\//),
    usedBytes: expect.any(Number),
  })
  expect((await ask(`GET /nodes/${node.id}`)).json()).toMatchObject({ id: node.id, cachedBuilds: [] })
  expect((await ask('GET /nodes/other')).statusCode).toBe(404)
})

test('a node is drained and made ready again, and nothing else', async () => {
  const { id } = api.localNode
  const set = async (body: unknown, node = id) => (await ask(`POST /nodes/${node}`, body)).statusCode
  expect(await set({ status: 'draining' })).toBe(204)
  expect(api.localNode.status()).toBe('draining')
  expect(await api.control.store.nodeStatus.get(id)).toBe('draining')
  expect((await ask(`GET /nodes/${id}`)).json().status).toBe('draining')
  for (const body of [{ status: 'unhealthy' }, { status: 'standby' }, {}]) expect(await set(body)).toBe(400)
  expect(await set({ status: 'ready' }, 'other')).toBe(404)
  expect(await set({ status: 'ready', clusterID: 'other' })).toBe(404)
  expect(api.localNode.status()).toBe('draining')
  expect(await set({ status: 'ready', clusterID: '00000000-0000-0000-0000-000000000000' })).toBe(204)
  expect(api.localNode.status()).toBe('ready')
})

test('the running sandboxes of a team are counted and killed; others’ and paused ones stay', async () => {
  const create = async (key: string) =>
    (
      await api.ask('POST /v2/sandboxes', { headers: { 'x-api-key': key }, body: { templateID: 'base' } })
    ).json().sandboxID as string
  await create(api.keys.team)
  await create(api.keys.team)
  const theirs = await create(api.keys.other)
  await api.control.store.sandboxes.create(rowOf({ id: 'ipaused', state: 'paused', pausedWithMemory: false }))
  expect((await ask('GET /admin/sandboxes/running-counts')).json()).toEqual({ team: 2, other: 1 })
  const killed = await ask('POST /admin/teams/team/sandboxes/kill')
  expect(killed.statusCode).toBe(200)
  expect(killed.json()).toEqual({ killedCount: 2, failedCount: 0 })
  await api.control.endings.idle()
  const left = await api.control.store.sandboxes.list({})
  expect(left.map(({ id }) => id).toSorted()).toEqual([theirs, 'ipaused'].toSorted())
  expect((await ask('POST /admin/teams/team/sandboxes/kill')).json()).toEqual({
    killedCount: 0,
    failedCount: 0,
  })
  expect((await ask('POST /admin/teams/none/sandboxes/kill')).statusCode).toBe(404)
})

test('a team’s limits are refused with what to do, and its longest life is kept', async () => {
  await api.control.store.teams.setLimits('team', { runningSandboxes: 0, lifetimeS: 60 })
  const create = (timeout: number) => api.ask('POST /v2/sandboxes', { body: { templateID: 'base', timeout } })
  const long = await create(61)
  expect(long.statusCode).toBe(400)
  expect(long.json().message).toMatch(/60 s.*--lifetime-hours/)
  const many = await create(60)
  expect(many.statusCode).toBe(429)
  expect(many.headers['retry-after']).toBe('1')
  expect(many.json()).toEqual({ code: 429, message: expect.stringContaining('--sandboxes') })
})

test('a rate of creates that is used up says when it is whole again', async () => {
  await api.control.store.teams.setLimits('team', { createsPerSecond: 0.1 })
  const create = () => api.ask('POST /v2/sandboxes', { body: { templateID: 'base' } })
  expect((await create()).statusCode).toBe(201)
  const { statusCode, headers, ...refused } = await create()
  expect(statusCode).toBe(429)
  expect(refused.json()).toEqual({ code: 429, message: expect.stringMatching(/^Rate limit exceeded/) })
  const soon = expect.stringMatching(/^(9|10)$/)
  expect(headers).toMatchObject({
    'retry-after': soon,
    'ratelimit-limit': '1',
    'ratelimit-remaining': '0',
    'ratelimit-reset': soon,
  })
})

test('what can’t be started has E2B’s name in the body', async () => {
  await using broken = await startApi({ faults: { failStart: true } })
  const answer = await broken.ask('POST /v2/sandboxes', { body: { templateID: 'base' } })
  expect(answer.statusCode).toBe(500)
  expect(answer.json()).toEqual({
    code: 500,
    message: expect.stringMatching(/^Failed to place sandbox: /),
    error_code: 'sandbox_create_failed',
  })
})

test('of creates at the same time a team gets exactly as many as it may have, again and again', async () => {
  await api.control.store.teams.setLimits('team', { runningSandboxes: 3 })
  const create = () => api.ask('POST /v2/sandboxes', { body: { templateID: 'base' } })
  for (let round = 0; round < 2; round++) {
    const answers = await Promise.all(Array.from({ length: 8 }, create))
    expect(answers.map(({ statusCode }) => statusCode).toSorted()).toEqual([
      201,
      201,
      201,
      ...Array(5).fill(429),
    ])
    const ids = answers.flatMap((answer) => (answer.statusCode === 201 ? [answer.json().sandboxID] : []))
    for (const id of ids) expect((await api.ask(`DELETE /sandboxes/${id}`)).statusCode).toBe(204)
  }
})
