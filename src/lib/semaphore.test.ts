import { expect, test } from 'vitest'
import { createSemaphore } from './semaphore.ts'

const never = new AbortController().signal

test('admits as many as it has permits, then in the order of arrival', async () => {
  const semaphore = createSemaphore(2)
  const entered: string[] = []
  const enter = (name: string) =>
    semaphore.acquire(never).then((release) => {
      entered.push(name)
      return release
    })
  const [first, second] = await Promise.all([enter('a'), enter('b')])
  const third = enter('c')
  const fourth = enter('d')
  expect(entered).toEqual(['a', 'b'])
  first()
  await third
  expect(entered).toEqual(['a', 'b', 'c'])
  second()
  await fourth
  expect(entered).toEqual(['a', 'b', 'c', 'd'])
})

test('one that gives up while waiting takes no permit', async () => {
  const semaphore = createSemaphore(1)
  const release = await semaphore.acquire(never)
  const leaving = new AbortController()
  const left = semaphore.acquire(leaving.signal)
  const next = semaphore.acquire(never)
  leaving.abort(new Error('left'))
  await expect(left).rejects.toThrow('left')
  release()
  await expect(next).resolves.toBeTypeOf('function')
})

test('a permit given back twice counts once', async () => {
  const semaphore = createSemaphore(1)
  const release = await semaphore.acquire(never)
  release()
  release()
  await semaphore.acquire(never)
  const third = new AbortController()
  const waiting = semaphore.acquire(third.signal)
  third.abort(new Error('still taken'))
  await expect(waiting).rejects.toThrow('still taken')
})

test('an aborted signal is refused at once', async () => {
  await expect(createSemaphore(1).acquire(AbortSignal.abort(new Error('no')))).rejects.toThrow('no')
})
