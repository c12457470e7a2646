/** A real engine, some of whose answers are those of one whose control groups are busy. */
import { once } from 'node:events'
import { createServer, request, type Server } from 'node:http'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { baseImageName, buildBaseImage } from '../../../images/base/build.mjs'
import type { GuestHandle, Runtime } from '../../domain/runtime.ts'
import { silentLog } from '../../lib/log.ts'
import { guestOf, guestSpec, run } from '../tools.suite.ts'
import { createEngine } from './engine.ts'
import { createEngineHost } from './engine-host.ts'
import { type FoundContainer, getContainer } from './find-container.ts'
import { freeze } from './freeze.ts'
import { createFreezer, type Freezer } from './freezer.ts'
import { fromHandle } from './handle.ts'
import { createMemoryReclaim } from './memory-reclaim.ts'
import { container, patience, server } from './runtime.fixture.ts'

const image = await baseImageName()
const busy = { pause: 'Cannot pause container x: unable to freeze', unpause: 'timeout waiting for thaw' }
const isPausedAlready = 'Cannot pause container x: cannot pause a paused container: unknown'
let one: Awaited<ReturnType<typeof server>>
let proxy: Server
let socketPath: string
let runtime: Runtime
let handle: GuestHandle
/** How often each call still fails, and how often it came */
let failing: Record<keyof typeof busy, number>
let calls: Record<keyof typeof busy, number>
let refusal: string | undefined

beforeAll(async () => {
  await buildBaseImage({ log: () => {} })
  one = await server()
  socketPath = join(one.stateDir, 'engine.sock')
  proxy = createServer((req, res) => {
    const call = /\/(pause|unpause)$/.exec(req.url ?? '')?.[1] as keyof typeof busy | undefined
    if (call !== undefined && calls[call]++ < failing[call]) {
      res
        .writeHead(500, { 'content-type': 'application/json' })
        .end(JSON.stringify({ message: refusal ?? busy[call] }))
      return
    }
    const { method, url, headers } = req
    const onward = request({ socketPath: '/var/run/docker.sock', method, path: url, headers }, (answer) => {
      answer.pipe(res.writeHead(answer.statusCode ?? 500, answer.headers))
    })
    onward.on('error', () => res.destroy())
    res.on('close', () => onward.destroy())
    req.pipe(onward)
  }).listen(socketPath)
  await once(proxy, 'listening')
  runtime = one.create({ dockerHost: `unix://${socketPath}` })
  failing = calls = { pause: 0, unpause: 0 }
  handle = await runtime.start(guestSpec(image), patience())
}, 15 * 60_000)
beforeEach(() => {
  calls = { pause: 0, unpause: 0 }
  failing = { pause: 0, unpause: 0 }
  refusal = undefined
})
afterAll(async () => {
  await runtime.close()
  proxy.close()
  await one.dispose()
})

/** Freezes or thaws the container as an engine does that is killed before it writes that down. */
async function freezeBehindTheEngine(frozen: boolean): Promise<void> {
  await withFreezer((freezer, found) => freezer.set(found, frozen, patience()))
}

/** Whether its processes are frozen, whatever the engine says. */
const isFrozen = () => withFreezer((freezer, found) => freezer.isFrozen(found, patience()))

async function withFreezer<T>(use: (freezer: Freezer, found: FoundContainer) => Promise<T>): Promise<T> {
  const engine = createEngine({ socketPath, log: silentLog })
  try {
    const parts = { engine, instanceId: one.instanceId }
    const freezer = createFreezer({ engineHost: createEngineHost(engine) })
    return await use(freezer, await getContainer(parts, fromHandle(handle), patience()))
  } finally {
    engine.close()
  }
}

const isPaused = async () => (await container(handle).inspect()).State.Paused

test('a freeze that the engine could not do at once is tried again, and so is a thaw', async () => {
  failing = { pause: 3, unpause: 0 }
  await runtime.pause(handle, { memory: true }, patience())
  expect(await isPaused()).toBe(true)
  expect(calls.pause).toBe(4)
  calls = { pause: 0, unpause: 0 }
  failing = { pause: 0, unpause: 3 }
  expect(await runtime.resume(handle, patience())).toMatchObject({ booted: false })
  expect(calls.unpause).toBe(4)
  expect(await isPaused()).toBe(false)
})

test('a copy of the files of a busy sandbox is made', async () => {
  failing = { pause: 2, unpause: 2 }
  const copy = 'e2b-server/copy-of-busy:latest'
  await runtime.snapshot(handle, copy, patience())
  expect(await isPaused()).toBe(false)
  await runtime.images.remove(copy, patience())
})

test('what can not be frozen in time runs on, and its owner is told when to try again', async () => {
  failing = { pause: Number.POSITIVE_INFINITY, unpause: 0 }
  const engine = createEngine({ socketPath, log: silentLog })
  const engineHost = createEngineHost(engine)
  const reclaim = createMemoryReclaim({ engineHost, log: silentLog })
  const freezer = createFreezer({ engineHost })
  const parts = { engine, reclaim, freezer, instanceId: one.instanceId, log: silentLog }
  await expect(freeze(parts, fromHandle(handle), 300)).rejects.toMatchObject({
    code: 'unavailable',
    retryAfterS: 2,
  })
  expect(calls.pause).toBeGreaterThan(1)
  expect((await run(guestOf(runtime, handle), 'echo runs')).stdout).toBe('runs\n')
  reclaim.close()
  engine.close()
})

test('pauses of a sandbox that makes processes all the time work', async () => {
  const loop = 'while :; do /bin/true; done >/dev/null 2>&1 & echo'
  await run(guestOf(runtime, handle), loop)
  for (let round = 0; round < 10; round++) {
    await runtime.pause(handle, { memory: true }, patience())
    await runtime.resume(handle, patience())
  }
  expect(await isPaused()).toBe(false)
})

describe('an engine that was killed in the middle of a freeze or thaw', () => {
  const expectItRuns = async () => {
    expect(await isPaused()).toBe(false)
    expect((await run(guestOf(runtime, handle), 'echo runs')).stdout).toBe('runs\n')
  }

  test('takes a frozen container for one that runs: it is paused, and resumes', async () => {
    await freezeBehindTheEngine(true)
    expect(await runtime.recover(handle, patience())).toBe('paused')
    expect(await runtime.resume(handle, patience())).toMatchObject({ booted: false })
    await expectItRuns()
  })

  test('takes a frozen container for one that runs: a pause tells it', async () => {
    await freezeBehindTheEngine(true)
    await runtime.pause(handle, { memory: true }, patience())
    expect(await isPaused()).toBe(true)
    await runtime.resume(handle, patience())
    await expectItRuns()
  })

  test('takes one that runs for paused: it is frozen again, and resumes', async () => {
    await runtime.pause(handle, { memory: true }, patience())
    await freezeBehindTheEngine(false)
    expect(await isFrozen()).toBe(false)
    expect(await runtime.recover(handle, patience())).toBe('paused')
    expect(await isFrozen()).toBe(true)
    await runtime.resume(handle, patience())
    await expectItRuns()
  })

  test('has what keeps its containers refuse a pause: it is one all the same', async () => {
    failing = { pause: 1, unpause: 0 }
    refusal = isPausedAlready
    await runtime.pause(handle, { memory: true }, patience())
    expect(await isFrozen()).toBe(true)
    expect(await runtime.recover(handle, patience())).toBe('paused')
    await runtime.resume(handle, patience())
    await expectItRuns()
  })
})
