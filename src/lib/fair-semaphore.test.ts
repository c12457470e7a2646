import { expect, test } from 'vitest'
import { createFairSemaphore, type FairSemaphore } from './fair-semaphore.ts'

const never = new AbortController().signal
const wide = { lineMax: 100, waitingMax: 100 }

/** Queues up, and tells in `order` when it is admitted. */
function queue(semaphore: FairSemaphore, key: string, name: string, order: string[]) {
  const acquired = semaphore.acquire(key, never)
  return acquired!.then((release) => {
    order.push(name)
    return release
  })
}

test('admits as many as it has permits; lines take turns, first come first served within one', async () => {
  const semaphore = createFairSemaphore({ permits: 1, ...wide })
  const order: string[] = []
  const first = await queue(semaphore, 'a', 'a0', order)
  const waiting = ['a1', 'a2', 'a3', 'b1', 'c1', 'b2'].map((name) => queue(semaphore, name[0]!, name, order))
  expect([semaphore.held(), semaphore.waiting()]).toEqual([1, 6])
  first()
  for (const next of ['a1', 'b1', 'c1', 'a2', 'b2', 'a3']) {
    await expect.poll(() => order.at(-1)).toBe(next)
    ;(await waiting[['a1', 'a2', 'a3', 'b1', 'c1', 'b2'].indexOf(next)]!)()
  }
  expect([semaphore.held(), semaphore.waiting()]).toEqual([0, 0])
})

test('giving back twice gives back once', async () => {
  const semaphore = createFairSemaphore({ permits: 1, ...wide })
  const release = await semaphore.acquire('a', never)!
  release()
  release()
  await semaphore.acquire('a', never)
  expect(semaphore.held()).toBe(1)
})

test('a line and the room for all lines are bounded', async () => {
  const semaphore = createFairSemaphore({ permits: 1, lineMax: 2, waitingMax: 3 })
  await semaphore.acquire('a', never)
  expect(semaphore.acquire('a', never)).toBeDefined()
  expect(semaphore.acquire('a', never)).toBeDefined()
  expect(semaphore.acquire('a', never)).toBeUndefined()
  expect(semaphore.acquire('b', never)).toBeDefined()
  expect(semaphore.acquire('c', never)).toBeUndefined()
})

test('who gives up leaves the line at once, and whoever is behind moves up', async () => {
  const semaphore = createFairSemaphore({ permits: 1, ...wide })
  const held = await semaphore.acquire('a', never)!
  const leaving = new AbortController()
  const given = semaphore.acquire('a', leaving.signal)!
  const behind = semaphore.acquire('a', never)!
  leaving.abort(new Error('left'))
  expect(semaphore.waiting()).toBe(1)
  await expect(given).rejects.toThrow('left')
  held()
  expect(await behind).toBeTypeOf('function')
  await expect(semaphore.acquire('a', leaving.signal)).rejects.toThrow('left')
})
