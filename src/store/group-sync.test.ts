import { expect, test } from 'vitest'
import { createGroupSync } from './group-sync.ts'

/** Syncs that end when they are told to. */
function createDisk() {
  const under: ReturnType<typeof deferred>[] = []
  const sync = () => {
    const one = deferred()
    under.push(one)
    return one.promise
  }
  return { sync, under }
}

function deferred() {
  let resolve = () => {}
  let reject = (_error: Error) => {}
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve, reject }
}

test('those who write before a sync share it, and one who writes meanwhile has the next', async () => {
  const { sync, under } = createDisk()
  const group = createGroupSync(sync)
  const done: string[] = []
  const write = (name: string) => {
    group.note()
    return group.settle().then(() => done.push(name))
  }
  const all = [write('a'), write('b')]
  await Promise.resolve()
  expect(under).toHaveLength(1)
  all.push(write('c'), write('d'))
  under[0]!.resolve()
  await expect.poll(() => under.length).toBe(2)
  expect(done).not.toContain('c')
  under[1]!.resolve()
  await Promise.all(all)
  expect(done.sort()).toEqual(['a', 'b', 'c', 'd'])
  expect(under).toHaveLength(2)
})

test('what was written is waited for by whoever asks, and only once', async () => {
  const { sync, under } = createDisk()
  const group = createGroupSync(sync)
  await group.settle()
  group.note()
  const waiting = group.settle()
  await expect.poll(() => under.length).toBe(1)
  under[0]!.resolve()
  await waiting
  await group.settle()
  expect(under).toHaveLength(1)
})

test('a sync that fails is told to those it was for, and tried anew for the next', async () => {
  const { sync, under } = createDisk()
  const group = createGroupSync(sync)
  group.note()
  const first = group.settle()
  await Promise.resolve()
  group.note()
  const second = group.settle()
  under[0]!.reject(new Error('no disk'))
  await expect(first).rejects.toThrow('no disk')
  await expect.poll(() => under.length).toBe(2)
  under[1]!.resolve()
  await second
})
