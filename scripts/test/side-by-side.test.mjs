import { expect, test } from 'vitest'
import { runSideBySide } from './side-by-side.mjs'

const named = (...names) => names.map((name) => ({ name }))

/** What `runSideBySide` begins, in its order; `end` ends one of those and resolves when what follows has begun. */
function bench(jobs, lanes, whenReady) {
  const started = []
  const ends = new Map()
  const all = runSideBySide(jobs, {
    lanes,
    ...(whenReady !== undefined && { whenReady }),
    run: ({ name }) => {
      started.push(name)
      return new Promise((resolve) => ends.set(name, () => resolve(name.toUpperCase())))
    },
  })
  const end = async (name) => {
    ends.get(name)()
    await new Promise((resolve) => setImmediate(resolve))
  }
  return { started, all, end }
}

test('no more than there are lanes run at a time, and a free lane takes the next', async () => {
  const { started, all, end } = bench(named('a', 'b', 'c', 'd'), 2)
  expect(started).toEqual(['a', 'b'])
  await end('b')
  expect(started).toEqual(['a', 'b', 'c'])
  await end('c')
  expect(started).toEqual(['a', 'b', 'c', 'd'])
  await end('d')
  await end('a')
  expect(await all).toEqual(['A', 'B', 'C', 'D'])
})

test('no lane waits for what another has, or for what comes first', async () => {
  const jobs = [
    { name: 'a', aloneWith: 'x' },
    { name: 'b', aloneWith: 'x' },
    { name: 'c', after: ['a', 'absent'] },
    { name: 'd' },
    { name: 'e', aloneWith: 'y' },
    { name: 'f', after: ['b'] },
  ]
  const { started, all, end } = bench(jobs, 3)
  expect(started).toEqual(['a', 'd', 'e'])
  await end('d')
  expect(started).toEqual(['a', 'd', 'e'])
  await end('a')
  expect(started).toEqual(['a', 'd', 'e', 'b', 'c'])
  await end('c')
  await end('e')
  expect(started).toEqual(['a', 'd', 'e', 'b', 'c'])
  await end('b')
  await end('f')
  expect(await all).toEqual(['A', 'B', 'C', 'D', 'E', 'F'])
})

test('a job whose needs are there goes before those that wait for theirs', async () => {
  const needs = new Map()
  const whenReady = ({ name }) => new Promise((resolve) => needs.set(name, resolve))
  const { started, all, end } = bench(named('a', 'b', 'c'), 1, whenReady)
  const bring = async (name) => {
    needs.get(name)()
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(started).toEqual([])
  await bring('b')
  await bring('a')
  expect(started).toEqual(['b'])
  await end('b')
  expect(started).toEqual(['b', 'a'])
  await end('a')
  await bring('c')
  await end('c')
  expect(await all).toEqual(['A', 'B', 'C'])
})

test('a job that rejects stops the rest, after those under way', async () => {
  const ended = []
  const run = async ({ name }) => {
    await new Promise((resolve) => setImmediate(resolve))
    if (name === 'a') throw new Error('one')
    await new Promise((resolve) => setImmediate(resolve))
    ended.push(name)
  }
  await expect(runSideBySide(named('a', 'b', 'c'), { lanes: 2, run })).rejects.toThrow('one')
  expect(ended).toEqual(['b'])
})

test('none at all is no work', async () => {
  expect(await runSideBySide([], { lanes: 2, run: () => expect.unreachable() })).toEqual([])
})
