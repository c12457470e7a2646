import { describe, expect, it } from 'vitest'
import { keepalive, withKeepalive } from './keepalive.ts'

/** A source whose values come when the test says so. */
function createSource() {
  const waiting: ((result: IteratorResult<number, undefined>) => void)[] = []
  let isClosed = false
  const iterator: AsyncIterator<number, undefined> = {
    next: () => new Promise((resolve) => waiting.push(resolve)),
    async return() {
      isClosed = true
      return { done: true, value: undefined }
    },
  }
  return {
    iterator,
    give: (value: number) => waiting.shift()?.({ done: false, value }),
    end: () => waiting.shift()?.({ done: true, value: undefined }),
    isClosed: () => isClosed,
    asked: () => waiting.length,
  }
}

describe('withKeepalive', () => {
  it('fills silence, and loses no value by it', async () => {
    const source = createSource()
    const values = withKeepalive(source.iterator, 5)
    expect((await values.next()).value).toBe(keepalive)
    expect((await values.next()).value).toBe(keepalive)
    expect(source.asked()).toBe(1)
    source.give(1)
    expect((await values.next()).value).toBe(1)
    const last = values.next()
    source.end()
    expect(await last).toEqual({ done: true, value: undefined })
    expect(source.isClosed()).toBe(true)
  })

  it('passes errors on, and stops with its consumer', async () => {
    const failing = { next: () => Promise.reject(new RangeError('source')) }
    await expect(withKeepalive(failing, 1000).next()).rejects.toThrow(RangeError)
    const source = createSource()
    const values = withKeepalive(source.iterator, 1)
    await values.next()
    await values.return()
    expect(source.isClosed()).toBe(true)
  })
})
