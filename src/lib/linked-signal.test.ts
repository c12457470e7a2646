import { getEventListeners } from 'node:events'
import { expect, test } from 'vitest'
import { linkSignals } from './linked-signal.ts'

test('aborts with the first source, for its reason, and lets go of all', () => {
  const [first, second] = [new AbortController(), new AbortController()]
  const { signal } = linkSignals([first.signal, second.signal])
  second.abort(new Error('second'))
  first.abort(new Error('first'))
  expect(signal.reason).toMatchObject({ message: 'second' })
  expect(getEventListeners(first.signal, 'abort')).toHaveLength(0)
})

test('is aborted at once by an aborted source', () => {
  const { signal } = linkSignals([new AbortController().signal, AbortSignal.abort(new Error('before'))])
  expect(signal.reason).toMatchObject({ message: 'before' })
})

test('times out', async () => {
  const { signal } = linkSignals([], 5)
  await new Promise((resolve) => signal.addEventListener('abort', resolve))
  expect(signal.reason).toMatchObject({ name: 'TimeoutError' })
})

test('follows nobody after it was let go of', () => {
  const source = new AbortController()
  const linked = linkSignals([source.signal], 60_000)
  linked.dispose()
  source.abort()
  expect(linked.signal.aborted).toBe(false)
  expect(getEventListeners(source.signal, 'abort')).toHaveLength(0)
})
