/**
 * One server that sandboxes come to and go from for a long time, in every way they can, has in the end what it had at the
 * beginning: `npm run test:deep` takes minutes, `npm test` enough to see that nothing of a sandbox is left.
 */
import { readdirSync } from 'node:fs'
import { Sandbox } from 'e2b'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Holdings, holdingsOf } from '../support/holdings.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

const soakMs = Number(process.env.E2B_SOAK_SECONDS ?? 10) * 1000
/** Clients side by side. */
const clients = 4
/** Cycles before the first look: what a first use of everything costs isn't a leak. */
const warmUp = 12
/** What the server's processes may have more in memory in the end: a leak of 50 KB a cycle is more within minutes. */
const growthMax = 64 * 2 ** 20
/** Descriptors that may be open by chance: connections that are kept for the next request, and timers' ends. */
const descriptorsSlack = 24

let server: TestServer
let holdings: Holdings
beforeAll(async () => {
  server = await startTestServer({ flags: ['--start-wait', '120'] })
  holdings = await holdingsOf(server.stateDir)
}, 180_000)
afterAll(() => server?.[Symbol.asyncDispose](), 180_000)

test('what comes and goes leaves nothing behind', { timeout: soakMs + 600_000 }, async () => {
  for (let i = 0; i < warmUp; i += clients) await Promise.all(Array.from({ length: clients }, () => cycle(i)))
  await untilNothingIsLeft()
  const before = await held()
  const memoryBefore = server.residentBytes()

  let cycles = 0
  const until = Date.now() + soakMs
  await Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      for (let i = client; Date.now() < until; i++) {
        await cycle(i)
        cycles++
      }
    }),
  )
  await untilNothingIsLeft()
  await expect.poll(descriptors, { timeout: 30_000 }).toBeLessThan(before.descriptors + descriptorsSlack)
  expect({ ...(await held()), descriptors: before.descriptors }).toEqual(before)
  const grown = server.residentBytes() - memoryBefore
  console.log(`soak: ${cycles} cycles, ${Math.round(grown / 2 ** 20)} MiB more in memory`)
  expect(grown).toBeLessThan(growthMax)
  expect(cycles).toBeGreaterThan(0)
})

/** The life of a sandbox, by turns with each kind of pause, a snapshot and a fork. */
async function cycle(i: number): Promise<void> {
  const sandbox = await Sandbox.create({ timeoutMs: 300_000, requestTimeoutMs: 120_000 })
  await sandbox.files.write('kept', `${i}`)
  const server = await sandbox.commands.run('python3 -m http.server 8000', { background: true, timeoutMs: 0 })
  expect((await sandbox.commands.run('cat kept; seq 1 2000 | tail -1')).stdout).toBe(`${i}2000\n`)
  if (i % 4 === 0) await sandbox.pause()
  if (i % 4 === 1) await sandbox.pause({ keepMemory: false })
  if (i % 4 === 2) {
    const { snapshotId } = await sandbox.createSnapshot()
    const copy = await Sandbox.create(snapshotId, { timeoutMs: 300_000, requestTimeoutMs: 120_000 })
    expect(await copy.files.read('kept')).toBe(`${i}`)
    await copy.kill()
    await Sandbox.deleteSnapshot(snapshotId)
  }
  if (i % 4 === 3) await server.kill()
  const again = await Sandbox.connect(sandbox.sandboxId, { timeoutMs: 300_000, requestTimeoutMs: 120_000 })
  expect(await again.files.read('kept')).toBe(`${i}`)
  await again.kill()
}

async function untilNothingIsLeft(): Promise<void> {
  await expect.poll(async () => (await held()).ofSandboxes, { timeout: 60_000, interval: 500 }).toEqual([])
}

/** What the server has, on this machine and in its engine. */
async function held() {
  const [guests, images, networks] = await Promise.all([
    holdings.guests(),
    holdings.images(),
    holdings.networks(),
  ])
  const ofSandboxes = [
    ...[...guests.keys()].map((id) => `guest ${id}`),
    ...images.map((name) => `image ${name}`),
    ...holdings.directories().map((name) => `directory ${name}`),
    ...holdings.remainders(),
  ]
  return { ofSandboxes, networks, descriptors: descriptors() }
}

function descriptors(): number {
  const pids = [server.pid(), ...server.dataWorkers()]
  return pids.reduce((sum, pid) => sum + readdirSync(`/proc/${pid}/fd`).length, 0)
}
