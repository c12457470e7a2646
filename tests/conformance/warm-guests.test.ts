/** Guests that wait for their sandboxes, on a server as users start it. */
import { randomUUID } from 'node:crypto'
import { Sandbox, Template } from 'e2b'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { databasePath } from '../../src/main/state-dir.ts'
import { openSqliteStore } from '../../src/store/dialects/sqlite.ts'
import { holdingsOf } from '../support/holdings.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

/** How long a guest may take to be there, on a machine that does much else, in ms. */
const patience = { timeout: 60_000, interval: 100 }

let server: TestServer
beforeAll(async () => {
  server = await startTestServer({ env: { E2B_SERVER_WARM_MEMORY_MB: '512' } })
})
afterAll(() => server[Symbol.asyncDispose]())

/** Ids of those that wait, or are about to. */
async function recorded(): Promise<string[]> {
  const store = await openSqliteStore({ path: databasePath(server.stateDir) })
  try {
    return await store.warmGuests.list()
  } finally {
    await store.close()
  }
}

/** Ids of the server's guests that run. */
async function guests(): Promise<string[]> {
  return [...(await (await holdingsOf(server.stateDir)).guests()).keys()]
}

async function untilOneWaits(but: readonly string[] = []): Promise<string> {
  return vi.waitFor(async () => {
    const waiting = (await recorded()).filter((id) => !but.includes(id))
    const running = await guests()
    const id = waiting.find((each) => running.includes(each))
    expect(id).toBeDefined()
    return id!
  }, patience)
}

test('a create answers with the guest that waited, which is as any sandbox; another waits then', async () => {
  const id = await untilOneWaits()
  const sandbox = await Sandbox.create({ envs: { MINE: 'yes' }, allowInternetAccess: false })
  expect(sandbox.sandboxId).toBe(id)
  const inside = await sandbox.commands.run(
    'echo $MINE $E2B_SANDBOX_ID; curl -s -m 2 http://1.1.1.1 || echo closed',
  )
  expect(inside.stdout).toBe(`yes ${id}\nclosed\n`)
  expect(await sandbox.isRunning()).toBe(true)
  await untilOneWaits([id])
  expect(await sandbox.kill()).toBe(true)
})

test('a template’s start command runs in one before it is asked for', async () => {
  // In memory, as what the build's own try of it wrote to a disk would be in the image.
  const started = `/dev/shm/started-${randomUUID()}`
  const template = Template()
    .fromTemplate('base')
    .setStartCmd(`date +%s%N > ${started}; exec sleep infinity`, `test -s ${started}`)
  await Template.build(template, 'starts-something')
  // What was asked for twice may be so again.
  for (const sandbox of [
    await Sandbox.create('starts-something'),
    await Sandbox.create('starts-something'),
  ]) {
    await sandbox.kill()
  }
  await vi.waitFor(async () => expect((await recorded()).length).toBeGreaterThan(1), patience)
  const before = await vi.waitFor(async () => {
    const askedAt = Date.now()
    const sandbox = await Sandbox.create('starts-something')
    const startedAt = Number(await sandbox.files.read(started)) / 1e6
    await sandbox.kill()
    expect(startedAt).toBeLessThan(askedAt)
    return askedAt
  }, patience)
  expect(before).toBeGreaterThan(0)
})

test('after kill -9 those that waited are ended, and others wait', async () => {
  const sandbox = await Sandbox.create()
  const left = await untilOneWaits([sandbox.sandboxId])
  await server.end('SIGKILL')
  await server.restart()
  await vi.waitFor(async () => expect(await guests()).not.toContain(left), patience)
  expect(await guests()).toContain(sandbox.sandboxId)
  const next = await untilOneWaits([left])
  const other = await Sandbox.create()
  expect(other.sandboxId).toBe(next)
  await Promise.all([sandbox.kill(), other.kill()])
})

test('a stop ends all that wait', async () => {
  await untilOneWaits()
  await server.end('SIGTERM')
  expect(await guests()).toEqual([])
  expect(await recorded()).toEqual([])
})
