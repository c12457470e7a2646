import { expect, test } from 'vitest'
import { createKeyedQueue } from './keyed-queue.ts'

test('tasks of one key run in order and never together, also after a failure', async () => {
  const queue = createKeyedQueue()
  const seen: string[] = []
  let open = () => {}
  const gate = new Promise<void>((resolve) => {
    open = resolve
  })
  const first = queue.run('a', async () => {
    await gate
    seen.push('first')
    throw new Error('first failed')
  })
  const second = queue.run('a', async () => {
    seen.push('second')
    return 2
  })
  const other = queue.run('b', async () => {
    seen.push('other')
  })
  await other
  expect(seen).toEqual(['other'])
  open()
  await expect(first).rejects.toThrow('first failed')
  await expect(second).resolves.toBe(2)
  expect(seen).toEqual(['other', 'first', 'second'])
  await queue.idle()
})
