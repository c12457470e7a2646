import { existsSync } from 'node:fs'
import { lstat, mkdir, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { agentBinary } from '../../../tests/support/agent.ts'
import type { GuestHandle, Runtime } from '../../domain/runtime.ts'
import { hello } from '../../guest/hello.ts'
import { sleep } from '../../lib/deadline.ts'
import { newId } from '../../lib/ids.ts'
import { silentLog } from '../../lib/log.ts'
import { guestOf, guestSpec, newImage, run } from '../tools.suite.ts'
import type { Faults } from './faults.ts'
import { findProcess } from './proc-table.ts'
import { createProcessRuntime } from './runtime.ts'

const patience = () => AbortSignal.timeout(20_000)
const instanceId = newId()
const root = join(tmpdir(), `e2b-process-${instanceId}`)
const store = join(root, '.images')
const isRoot = process.getuid?.() === 0

function create(faults: Faults = {}): Runtime {
  const shared = { guestBinary: agentBinary, instanceId, log: silentLog }
  return createProcessRuntime({ ...shared, acknowledgeNoIsolation: true, faults })
}

const runtime = create()
const start = (image = 'none', by = runtime) => by.start(guestSpec(image), patience())
const snapshot = async (handle: GuestHandle, image = newImage()) => {
  await runtime.snapshot(handle, image, patience())
  return image
}
const expectRunning = async (handle: GuestHandle) => {
  expect(await runtime.recover(handle, patience())).toBe('running')
  expect((await hello(guestOf(runtime, handle), patience())).protocol).toBe(1)
}

afterEach(async () => {
  for (const handle of await runtime.list(patience())) await runtime.destroy(handle, patience())
  for (const image of await runtime.images.list(patience())) await runtime.images.remove(image, patience())
})
afterAll(async () => {
  await runtime.close()
  expect(existsSync(root)).toBe(false)
})

describe('an image', () => {
  test('holds files as they are', async () => {
    const source = await start()
    const make = `cd; echo text > file; ln file hard; ln -s /etc/passwd link; mkfifo fifo; mkdir -m 2711 dir
      touch -d 2001-02-03 old; chmod 400 file; truncate -s 100M hole; chmod 750 .`
    await run(guestOf(runtime, source), make)
    const look = `cd; stat -c '%n %F %a %u %s %h' . file hard link fifo dir old hole; stat -c %y old`
    const before = (await run(guestOf(runtime, source), look)).stdout
    expect(before).toContain('hole regular file')
    const image = await snapshot(source)
    expect((await runtime.images.inspect(image, patience()))?.sizeBytes).toBeLessThan(1_000_000)
    expect((await run(guestOf(runtime, await start(image)), look)).stdout).toBe(before)
  })

  test('can be made of a guest that was made of one', async () => {
    const first = await start(await snapshot(await start()))
    await run(guestOf(runtime, first), 'echo again > ~/file')
    const second = await start(await snapshot(first))
    expect((await run(guestOf(runtime, second), 'cat ~/file')).stdout).toBe('again\n')
  })

  test.each([
    '',
    '.',
    '..',
    '../up',
    '/etc',
    '.hidden',
    'Upper',
    'a b',
    'a\0b',
    'a%2fb',
    'é',
    'a'.repeat(81),
  ])('has a name that is safe: %j is not', async (image) => {
    const handle = await start()
    await expect(snapshot(handle, image)).rejects.toMatchObject({ code: 'invalid_argument' })
    expect(await runtime.images.inspect(image, patience())).toBeUndefined()
    await expect(start(image)).rejects.toMatchObject({ code: 'not_found' })
    await runtime.images.remove(image, patience())
    await expectRunning(handle)
  })

  test('may have a name that looks like a path', async () => {
    const image = 'a/../../b'
    const handle = await start()
    await snapshot(handle, image)
    expect(await runtime.images.list(patience())).toEqual([image])
    expect((await readdir(store)).map(decodeURIComponent)).toEqual([image])
    await runtime.images.remove(image, patience())
    await expectRunning(handle)
  })

  test("can't have the name of the machine's own", async () => {
    await expect(snapshot(await start(), 'none')).rejects.toMatchObject({ code: 'conflict' })
  })

  test('is made once, where several are made under its name', async () => {
    const guests = [await start(), await start(), await start()]
    const image = newImage()
    const outcomes = await Promise.allSettled(guests.map((handle) => snapshot(handle, image)))
    const failed = outcomes.filter((outcome) => outcome.status === 'rejected')
    expect(failed.map(({ reason }) => reason.code)).toEqual(['conflict', 'conflict'])
    expect(await readdir(store)).toHaveLength(1)
    for (const handle of guests) await expectRunning(handle)
  })

  test('is out of reach of guests', async () => {
    const handle = await start()
    await snapshot(handle)
    expect((await lstat(store)).mode & 0o777).toBe(0o700)
    if (!isRoot) return
    expect((await run(guestOf(runtime, handle), `ls '${store}'`)).status).toBe('exit status 2')
  })

  test('outlives every runtime', async () => {
    const handle = await start()
    const image = await snapshot(handle)
    await runtime.destroy(handle, patience())
    await create().close()
    expect(await create().images.list(patience())).toEqual([image])
  })

  test('that a crash has left half made is removed with the next one; those being made are not', async () => {
    const self = await findProcess(process.pid)
    const handle = await start()
    await snapshot(handle)
    const [dead, alive] = [`.${process.pid}-1-0`, `.${process.pid}-${self?.startTicks}-0`]
    for (const name of [dead, alive]) await mkdir(join(store, name, 'home'), { recursive: true })
    const images = await runtime.images.list(patience())
    expect(images).toHaveLength(1)
    await snapshot(handle)
    const names = await readdir(store)
    expect(names).not.toContain(dead)
    expect(names).toContain(alive)
    await runtime.images.remove(images[0]!, patience())
    expect(await readdir(store)).toHaveLength(2)
    await rm(join(store, alive), { recursive: true })
  })
})

describe('faults', () => {
  test('failSnapshot leaves no image and the guest as it was', async () => {
    const failing = create({ failSnapshot: true })
    const handle = await start()
    const failed = { code: 'internal' }
    await expect(failing.snapshot(handle, newImage(), patience())).rejects.toMatchObject(failed)
    await expectRunning(handle)
    await runtime.pause(handle, { memory: true }, patience())
    await expect(failing.snapshot(handle, newImage(), patience())).rejects.toMatchObject(failed)
    expect(await runtime.recover(handle, patience())).toBe('paused')
    expect(await readdir(store)).toEqual([])
  })

  test('snapshotDelayMs holds a guest frozen, which counts as running and can be given up', async () => {
    const slow = create({ snapshotDelayMs: 60_000 })
    const handle = await start()
    const leaving = new AbortController()
    const outcome = slow.snapshot(handle, newImage(), leaving.signal).catch((error) => error)
    const late = patience()
    while ((await findProcess(Number(handle.state.pid)))?.state !== 'T') await sleep(5, late)
    expect(await slow.recover(handle, patience())).toBe('running')
    // A server that is started meanwhile doesn't know better.
    expect(await runtime.recover(handle, patience())).toBe('paused')
    leaving.abort()
    expect(await outcome).toMatchObject({ code: 'canceled' })
    await expectRunning(handle)
    expect(await readdir(store)).toEqual([])
  })

  if (isRoot) {
    test('snapshotDiskFull is ENOSPC, with no image and the guest running', async () => {
      const handle = await start()
      const full = create({ snapshotDiskFull: true })
      const failed = { code: 'resource_exhausted', errno: 'ENOSPC' }
      await expect(full.snapshot(handle, newImage(), patience())).rejects.toMatchObject(failed)
      await expectRunning(handle)
      expect(await readdir(store)).toEqual([])
    })

    test('diskFull is ENOSPC for a guest of an image that is larger, and leaves nothing', async () => {
      const handle = await start()
      await run(guestOf(runtime, handle), 'head -c 1000000 /dev/zero > ~/file')
      const image = await snapshot(handle)
      const failed = { code: 'resource_exhausted', errno: 'ENOSPC' }
      await expect(start(image, create({ diskFull: true }))).rejects.toMatchObject(failed)
      expect(await runtime.list(patience())).toEqual([handle])
    })
  } else {
    test('snapshotDiskFull needs root', async () => {
      const handle = await start()
      const failed = { code: 'failed_precondition' }
      const full = create({ snapshotDiskFull: true })
      await expect(full.snapshot(handle, newImage(), patience())).rejects.toMatchObject(failed)
      await expectRunning(handle)
    })
  }
})
