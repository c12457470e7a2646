import { expect, test } from 'vitest'
import { startApi } from '../../../../tests/support/api.ts'

test.each([
  ['POST /sandboxes/:id/resume', { timeout: 60 }, true],
  ['POST /sandboxes/:id/resume', { timeout: 60, memory: false }, false],
  ['POST /sandboxes/:id/resume', { memory: null }, true],
  ['POST /v2/sandboxes/:id/connect', { memory: false }, false],
])('%s with %j of a paused sandbox keeps its memory: %s', async (what, body, memory) => {
  await using api = await startApi()
  const { sandboxID } = (await api.ask('POST /v2/sandboxes', { body: { templateID: 'base' } })).json()
  expect((await api.ask(`POST /sandboxes/${sandboxID}/pause`)).statusCode).toBe(204)
  expect((await api.ask(what.replace(':id', sandboxID), { body })).statusCode).toBe(201)
  const [last] = await api.control.store.events.list({ sandboxId: sandboxID, order: 'desc', limit: 1 })
  expect(last).toMatchObject({ type: 'resumed', detail: { memory } })
})

test('the memory of a resume is yes or no', async () => {
  await using api = await startApi()
  const answer = await api.ask('POST /sandboxes/inone/resume', { body: { memory: 'no' } })
  expect(answer.statusCode).toBe(400)
})
