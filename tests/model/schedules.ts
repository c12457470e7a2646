/**
 * Random schedules against a simple model: many clients at once, each with a schedule of its own, while steps fail,
 * guests die, the clock jumps and the server is killed. After each batch the server is started again, without faults,
 * and everything must agree: with what clients were told, with what the runtime has, and with itself.
 */
import { expect, test } from 'vitest'
import { connectSandbox } from '../../src/control/connect-sandbox.ts'
import { reconcile } from '../../src/control/reconcile.ts'
import type { Sandbox } from '../../src/domain/sandbox.ts'
import { publicState } from '../../src/domain/sandbox-state.ts'
import { bootOf, type Client, contentOf, createClient, type Expected, type Seen } from './client.ts'
import { createRandom, type Random } from './random.ts'
import { createWorld, patience, type World } from './world.ts'

/** Schedules of each half of the test, and how many of them run side by side. */
const schedules = Math.ceil(Number(process.env.E2B_MODEL_SCHEDULES ?? 1_000) / 2)
const batchSize = 25
/** Operations of one schedule. */
const rounds = 5
/** Share of the steps between use cases on one side, store and runtime on the other that fail. */
const faultRate = 0.02
/** Worlds side by side, so that one's waits are the other's time. */
const worlds = 2

/** One of the two halves, each of which has a process of its own; `offset` tells their seeds apart. */
export function testSchedules(offset: number): void {
  const seed = Number(process.env.E2B_MODEL_SEED ?? Math.floor(Math.random() * 2 ** 31))
  test(`${schedules} schedules with faults lose, leak and forget nothing`, {
    timeout: 3_600_000,
  }, async () => {
    console.log(`model: seed ${seed}; repeat with E2B_MODEL_SEED=${seed} npm test -- --only model`)
    const struck = new Map<string, number>()
    const perWorld = Math.ceil(schedules / worlds)
    const done = await Promise.all(
      Array.from({ length: worlds }, (_, index) =>
        runWorld(createRandom(seed + 1000 * offset + index), perWorld, struck),
      ),
    )
    const ran = done.reduce((sum, count) => sum + count)
    const faults = [...struck.values()].reduce((sum, count) => sum + count, 0)
    console.log(`model: ${ran} schedules, ${faults} faults at ${struck.size} points`)
    expect(ran).toBeGreaterThanOrEqual(schedules)
    expect(struck.size).toBeGreaterThan(schedules >= 1000 ? 30 : 5)
  })
}

async function runWorld(random: Random, count: number, struck: Map<string, number>): Promise<number> {
  await using world = await createWorld(random)
  let ran = 0
  for (; ran < count; ran += batchSize) {
    const clients = Array.from({ length: batchSize }, (_, i) => createClient(world, random, `c${ran + i}`))
    await runBatch(world, random, { clients, isFirst: ran === 0 })
    await check(world, clients)
    await clean(world)
  }
  for (const [point, times] of world.struck) struck.set(point, (struck.get(point) ?? 0) + times)
  return ran
}

/** Most have faults, the first in any case, however few there are. */
async function runBatch(
  world: World,
  random: Random,
  { clients, isFirst }: { clients: Client[]; isFirst: boolean },
): Promise<void> {
  world.faultRate = random.chance(0.8) || isFirst ? faultRate : 0
  for (let round = 0; round < rounds; round++) {
    // A server that is killed is killed in the middle of what everybody does.
    const crash = random.chance(0.3) ? setTimeout(() => world.crash(), random.below(80)) : undefined
    await Promise.all(clients.map((client) => client.step()))
    clearTimeout(crash)
    if (world.isCrashed()) await world.restart()
    if (random.chance(0.3)) {
      world.clock.jump(random.pick([-30_000, 1_000, 25_000, 70_000]))
      for (const client of clients) client.expire(world.clock.now())
      await world.expiry.look().catch(() => {})
      await world.expiry.idle()
    }
    if (random.chance(0.2)) await reconcile(world.control, patience()).catch(() => {})
  }
}

/** Without faults everything settles, and then everything must agree. */
async function check(world: World, clients: Client[]): Promise<void> {
  world.faultRate = 0
  world.crash()
  await world.restart()
  await world.expiry.look()
  await world.expiry.idle()
  for (const client of clients) client.expire(world.clock.now())
  await reconcile(world.control, patience())

  const rows = new Map((await world.store.sandboxes.list({})).map((row) => [row.id, row]))
  const guests = (await world.runtime.list(patience())).map(({ sandboxId }) => sandboxId)
  expect(guests.sort(), 'each sandbox has its guest, and each guest its sandbox').toEqual(
    [...rows.keys()].sort(),
  )
  const expected = clients.flatMap(({ sandboxes }) => sandboxes)
  const ended = new Set(expected.filter(({ wasEnded }) => wasEnded).map(({ id }) => id))
  for (const row of rows.values()) {
    expect(['running', 'paused'], `${row.id} is in a state that lasts`).toContain(row.state)
    const condition = await world.runtime.recover(row.handle!, patience())
    const paused = row.pausedWithMemory ? 'paused' : 'stopped'
    // One that is ended while it is frozen, as it may just have been, has its files.
    const isExcused = row.state === 'paused' && ended.has(row.id) && condition === 'stopped'
    expect(
      isExcused ? paused : condition,
      `the guest of ${row.id}, which is ${row.state}\n${world.history(row.id).join('\n')}`,
    ).toBe(row.state === 'running' ? 'running' : paused)
    expect(world.directory.find(row.id) !== undefined, `${row.id} takes traffic`).toBe(
      row.state === 'running',
    )
  }
  await Promise.all(expected.map((it) => checkSandbox(world, it, rows.get(it.id))))
  await checkSnapshots(world, clients)
  await checkEvents(world, expected)
}

async function checkSandbox(world: World, it: Expected, row: Sandbox | undefined): Promise<void> {
  const seen: Seen = row === undefined ? 'gone' : (publicState(row.state) ?? 'gone')
  if (!it.wasEnded)
    expect([...it.states], `${it.id} is found ${seen}\n${world.history(it.id).join('\n')}`).toContain(seen)
  if (row === undefined) return
  expect(row.metadata).toEqual(it.metadata)
  expect(row.envdAccessToken).toBe(it.token)
  // A paused one must be what it was, too.
  const ref = { teamId: row.teamId, id: row.id }
  const kept = row.state === 'running' || row.pausedWithMemory === true
  const again = { timeoutS: 3600, memory: true }
  const { sandbox } = await connectSandbox(world.control, ref, again, { signal: patience() })
  const guest = { connect: (signal: AbortSignal) => world.runtime.connect(sandbox.handle!, signal) }
  expect([...it.contents], `the file in ${it.id}`).toContain(await contentOf(guest))
  const boot = await bootOf(guest)
  if (it.boot !== null && kept) expect(boot, `${it.id} has lost its memory`).toBe(it.boot)
}

async function checkSnapshots(world: World, clients: Client[]): Promise<void> {
  const snapshots = await world.store.builds.list({ isSnapshot: true })
  expect(snapshots.filter(({ status }) => status !== 'ready')).toEqual([])
  expect(await world.store.templates.list({ kind: 'fork' })).toEqual([])
  const kept = new Set(snapshots.map(({ image }) => image))
  for (const { image } of await world.store.sandboxes.list({}))
    if (image !== world.runtimes.image) kept.add(image)
  expect((await world.runtime.images.list(patience())).sort()).toEqual([...kept].sort())
  const ids = new Set<string>()
  for (const { id, aliases } of await world.store.templates.list({ kind: 'snapshot' })) {
    const [name] = aliases
    for (const { tag } of await world.store.tags.list(id)) ids.add(`${name ? `team/${name}` : id}:${tag}`)
  }
  for (const client of clients) for (const id of client.snapshots.keys()) expect(ids).toContain(id)
}

/** Each sandbox's events are in an order that can be: what was told happened, once, and its end is the last. */
async function checkEvents(world: World, expected: Expected[]): Promise<void> {
  for (const { id } of expected) {
    const events = await world.store.events.list({ sandboxId: id, limit: 1000 })
    const told = events.map(({ type, reason }) => (type === 'failed' ? `failed-${reason}` : type))
    const steps = told.filter((type) => type !== 'updated' && type !== 'snapshotted')
    expect(steps.join(' '), `the events of ${id}`).toMatch(
      /^created( failed-pause)*( paused( failed-resume)* resumed( failed-pause)*)*( paused( failed-resume)*)?( killed)?$/,
    )
    const types = steps.filter((type) => !type.startsWith('failed'))
    const row = await world.store.sandboxes.find(id)
    const last = types.at(-1)
    if (row === undefined) expect(last).toBe('killed')
    else expect(['created', 'resumed']).toContain(last)
  }
}

async function clean(world: World): Promise<void> {
  for (const row of await world.store.sandboxes.list({})) await world.store.sandboxes.remove(row.id)
  for (const { id } of await world.store.templates.list({ teamId: 'team' }))
    await world.store.templates.remove(id)
  await world.store.events.removeBefore(Number.MAX_SAFE_INTEGER)
  await reconcile(world.control, patience())
}
