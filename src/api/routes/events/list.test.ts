import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startApi, type TestApi } from '../../../../tests/support/api.ts'
import { rowOf } from '../../../../tests/support/control.ts'
import { eventOf } from '../../../control/lifecycle.ts'
import type { LifecycleEventType } from '../../../domain/lifecycle-event.ts'
import { presentLifecycleDelivery } from '../../../wire/lifecycle-event.ts'

const at = Date.parse('2026-01-02T03:04:05.678Z')
let api: TestApi
beforeEach(async () => {
  api = await startApi()
})
afterEach(() => api[Symbol.asyncDispose]())

/** A sandbox to which these have happened, a second apart; its id. */
async function live(types: LifecycleEventType[], teamId = 'team'): Promise<string> {
  const id = `i${randomUUID().replaceAll('-', '').slice(0, 20)}`
  const row = rowOf({ id, state: 'running', teamId, startedAt: at, metadata: { user: '42' } })
  await api.control.store.sandboxes.create(row)
  for (const [i, type] of types.entries()) {
    const event = eventOf(row, { type, reason: 'request' }, at + i * 1_000)
    await api.control.store.sandboxes.update(id, {}, { event })
  }
  return id
}

const typesOf = async (path: string, headers = { 'x-api-key': api.keys.team }) =>
  (await api.ask(`GET ${path}`, { headers }))
    .json()
    .map(({ type }: { type: string }) => type.replace('sandbox.lifecycle.', ''))

test('events are listed newest first, a page at a time, of a team or a sandbox', async () => {
  const first = await live(['created', 'paused', 'resumed', 'snapshotted', 'killed'])
  const second = await live(['created', 'failed'])
  await live(['created'], 'other')
  expect(await typesOf(`/events/sandboxes/${first}`)).toEqual([
    'killed',
    'checkpointed',
    'resumed',
    'paused',
    'created',
  ])
  expect(await typesOf(`/events/sandboxes/${first}?orderAsc=true&limit=2&offset=1`)).toEqual([
    'paused',
    'resumed',
  ])
  expect(await typesOf('/events/sandboxes')).toHaveLength(7)
  expect(await typesOf('/events/sandboxes?limit=2')).toEqual(['failed', 'created'])
  expect(await typesOf('/events/sandboxes', { 'x-api-key': api.keys.other })).toEqual(['created'])
  expect(await typesOf(`/events/sandboxes/${second}`, { 'x-api-key': api.keys.other })).toEqual([])
})

test.each([
  'types=sandbox.lifecycle.paused,sandbox.lifecycle.killed',
  'types=sandbox.lifecycle.paused&types=sandbox.lifecycle.killed',
])('certain types: %s', async (query) => {
  const id = await live(['created', 'paused', 'resumed', 'killed'])
  expect(await typesOf(`/events/sandboxes/${id}?${query}`)).toEqual(['killed', 'paused'])
})

test.each([
  'types=paused',
  'types=',
  'types=sandbox.lifecycle.paused&types=paused',
  'limit=0',
  'limit=101',
  'offset=-1',
  'orderAsc=maybe',
])('%s is refused', async (query) => {
  expect((await api.ask(`GET /events/sandboxes?${query}`)).statusCode).toBe(400)
})

test('an event has the same to say to a webhook, in other words', async () => {
  const id = await live(['killed'])
  const [event] = (await api.ask(`GET /events/sandboxes/${id}`)).json()
  const eventData = {
    sandbox_metadata: { user: '42' },
    execution: { started_at: new Date(at).toISOString(), vcpu_count: 1, memory_mb: 128, execution_time: 0 },
    reason: 'request',
  }
  const same = { version: 'v2', type: 'sandbox.lifecycle.killed', timestamp: '2026-01-02T03:04:05.678Z' }
  expect(event).toEqual({
    ...same,
    id: expect.any(String),
    sandboxId: id,
    sandboxTeamId: 'team',
    sandboxTemplateId: 'base',
    sandboxBuildId: 'base',
    sandboxExecutionId: id,
    eventData,
  })
  const [stored] = await api.control.store.events.list({ sandboxId: id, limit: 1 })
  expect(presentLifecycleDelivery(stored!)).toEqual({
    ...same,
    id: event.id,
    event_category: 'lifecycle',
    event_label: 'kill',
    event_data: eventData,
    sandbox_id: id,
    sandbox_team_id: 'team',
    sandbox_template_id: 'base',
    sandbox_build_id: 'base',
    sandbox_execution_id: id,
  })
})
