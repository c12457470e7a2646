import { expect, test } from 'vitest'
import { runSideBySide } from './side-by-side.mjs'

test('no more than there are lanes run at a time, and a free lane takes the next', async () => {
  const started = []
  const ends = new Map()
  const all = runSideBySide(['a', 'b', 'c', 'd'], {
    lanes: 2,
    run: (job) => {
      started.push(job)
      return new Promise((resolve) => ends.set(job, () => resolve(job.toUpperCase())))
    },
  })
  const end = async (job) => {
    ends.get(job)()
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(started).toEqual(['a', 'b'])
  await end('b')
  expect(started).toEqual(['a', 'b', 'c'])
  await end('c')
  expect(started).toEqual(['a', 'b', 'c', 'd'])
  await end('d')
  await end('a')
  expect(await all).toEqual(['A', 'B', 'C', 'D'])
})

test('a job that rejects stops the rest, after those under way', async () => {
  const ended = []
  const run = async (job) => {
    await new Promise((resolve) => setImmediate(resolve))
    if (job === 1) throw new Error('one')
    await new Promise((resolve) => setImmediate(resolve))
    ended.push(job)
  }
  await expect(runSideBySide([1, 2, 3], { lanes: 2, run })).rejects.toThrow('one')
  expect(ended).toEqual([2, 3].slice(0, ended.length))
  expect(ended).toContain(2)
})

test('none at all is no work', async () => {
  expect(await runSideBySide([], { lanes: 2, run: () => expect.unreachable() })).toEqual([])
})
