import { createHash, createHmac, randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest'
import { rowOf } from '../../tests/support/control.ts'
import { startReceiver } from '../../tests/support/receiver.ts'
import type { Store } from '../domain/store.ts'
import { silentLog } from '../lib/log.ts'
import { openSqliteStore } from '../store/dialects/sqlite.ts'
import { createSender } from '../webhooks/send-delivery.ts'
import { createDeliverer } from './deliver-webhooks.ts'
import { eventOf } from './lifecycle.ts'
import { createWebhook, deleteWebhook, updateWebhook } from './webhooks.ts'

const folder = mkdtempSync(join(tmpdir(), 'e2b-webhooks-'))
let path: string
let store: Store
let now = 1_000_000
const clock = { now: () => now }
const running = new AbortController().signal
const secret = 'a secret of some length'

beforeEach(async () => {
  path = join(folder, `${randomUUID()}.db`)
  store = await openSqliteStore({ path })
})
afterEach(() => store.close())
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const send = createSender({ allow: ['127.0.0.0/8'], ownPorts: () => [] })
const ctx = () => ({ store, clock, log: silentLog })
const deliverer = () => createDeliverer({ ctx: ctx(), send, present: (event) => ({ n: event.detail.n }) })
const hook = (url: string, teamId = 'team') =>
  createWebhook(ctx(), teamId, { name: 'mine', url, enabled: true, events: [], secret })

/** Events as use cases write them, with a number each. */
async function happen(numbers: number[], teamId = 'team'): Promise<void> {
  for (const n of numbers) {
    const row = rowOf({ id: `i${randomUUID().replaceAll('-', '')}`, state: 'running', teamId })
    await store.sandboxes.create(row)
    await store.sandboxes.update(row.id, {}, { event: eventOf(row, { type: 'created', detail: { n } }, now) })
  }
}

/** A receiver that knows the numbers of the events it was told of. */
async function receive() {
  const receiver = await startReceiver()
  const numbers = () => receiver.got.map(({ body }) => (JSON.parse(body) as { n: number }).n)
  return Object.assign(receiver, { numbers })
}

async function settled(by = deliverer()): Promise<void> {
  await by.look(running)
  await by.idle()
}

test('events come in order, each signed in both ways; another team’s don’t', async () => {
  await using receiver = await receive()
  await happen([0])
  const { id } = await hook(receiver.url)
  await happen([1, 2])
  await happen([99], 'other')
  await happen([3])
  await settled()
  expect(receiver.numbers()).toEqual([1, 2, 3])
  for (const { headers, body } of receiver.got) {
    const plain = createHash('sha256')
      .update(secret + body)
      .digest('base64')
      .replace(/=+$/, '')
    const hmac = createHmac('sha256', secret).update(`${headers['e2b-delivery-id']}.${body}`).digest('hex')
    expect(headers).toMatchObject({
      'e2b-webhook-id': id,
      'e2b-signature-version': 'v1',
      'e2b-signature': plain,
      'e2b-signature-hmac': `sha256=${hmac}`,
    })
  }
  await settled()
  expect(receiver.got).toHaveLength(3)
})

test('what fails is tried again later and later, in its turn, and given up in the end', async () => {
  await using receiver = await receive()
  receiver.status = 500
  const { id } = await hook(receiver.url)
  await happen([1, 2])
  const waits: number[] = []
  for (let attempt = 0; attempt < 3; attempt++) {
    await settled()
    const { notBefore, lastError } = (await store.webhooks.find(id))!
    expect(lastError).toBe('No success.')
    waits.push(notBefore - now)
    await settled()
    now = notBefore
  }
  expect(receiver.numbers()).toEqual([1, 1, 1])
  expect(waits[0]).toBeGreaterThanOrEqual(1_000)
  expect(waits[1]).toBeGreaterThan(waits[0]!)
  expect(waits[2]).toBeGreaterThan(waits[1]!)
  receiver.status = 204
  await settled()
  expect(receiver.numbers()).toEqual([1, 1, 1, 1, 2])
  expect(await store.webhooks.find(id)).toMatchObject({ attempts: 0, lastError: null })

  receiver.status = 400
  await happen([3])
  for (let attempt = 0; attempt < 12; attempt++) {
    await settled()
    now += 400_000
  }
  expect((await store.webhooks.find(id))?.lastError).toContain('given up after 12 attempts')
  receiver.status = 200
  await happen([4])
  await settled()
  expect(receiver.numbers().at(-1)).toBe(4)
})

test('one that doesn’t answer holds up nobody else', async () => {
  await using slow = await receive()
  await using fast = await receive()
  slow.hold()
  await hook(slow.url)
  await hook(fast.url)
  await happen([1, 2])
  const both = deliverer()
  await both.look(running)
  await expect.poll(() => fast.numbers()).toEqual([1, 2])
  expect(slow.numbers()).toEqual([1])
  slow.letGo()
  await both.idle()
  expect(slow.numbers()).toEqual([1, 2])
})

test('with more webhooks than are served at once, each has its turn', async () => {
  await using receiver = await receive()
  await using silent = await receive()
  silent.status = 500
  for (let i = 0; i < 20; i++) await hook(silent.url, `team${i}`)
  await hook(receiver.url, 'last')
  for (let i = 0; i < 20; i++) await happen([i], `team${i}`)
  await happen([7], 'last')
  const all = deliverer()
  for (let look = 0; look < 2; look++) {
    await all.look(running)
    await all.idle()
    now += 10_000
  }
  expect(receiver.numbers()).toEqual([7])
})

test('a server that dies in the middle loses nothing: the next one goes on from what is stored', async () => {
  await using receiver = await receive()
  await hook(receiver.url)
  await happen([1, 2, 3, 4])
  receiver.hold()
  const dying = new AbortController()
  const first = deliverer()
  await first.look(dying.signal)
  await expect.poll(() => receiver.numbers()).toEqual([1])
  dying.abort()
  receiver.letGo()
  await first.idle()
  await store.close()
  store = await openSqliteStore({ path })
  await settled()
  expect([...new Set(receiver.numbers())]).toEqual([1, 2, 3, 4])
})

test('choosing events, turning off and on, deleting', async () => {
  await using receiver = await receive()
  const { id } = await hook(receiver.url)
  const ref = { teamId: 'team', id }
  await updateWebhook(ctx(), ref, { events: ['paused'] })
  await happen([1])
  await settled()
  expect(receiver.numbers()).toEqual([])
  await updateWebhook(ctx(), ref, { events: [], enabled: false })
  await happen([2])
  await settled()
  await updateWebhook(ctx(), ref, { enabled: true })
  await happen([3])
  await settled()
  expect(receiver.numbers()).toEqual([3])
  await expect(deleteWebhook(ctx(), { teamId: 'other', id })).rejects.toMatchObject({ code: 'not_found' })
  await deleteWebhook(ctx(), ref)
  await happen([4])
  await settled()
  expect(receiver.numbers()).toEqual([3])
})

test('a team whose webhooks all hang has no more than its places, so others are told', async () => {
  await using slow = await receive()
  await using fast = await receive()
  slow.hold()
  for (let i = 0; i < 12; i++) await hook(slow.url)
  await hook(fast.url, 'other')
  await happen([1])
  await happen([2], 'other')
  const all = deliverer()
  await all.look(running)
  await expect.poll(() => [slow.got.length, fast.numbers()]).toEqual([8, [2]])
  slow.letGo()
  await all.idle()
  await all.look(running)
  await all.idle()
  expect(slow.numbers()).toEqual(Array(12).fill(1))
})

test('those that were served last come last', async () => {
  await using receiver = await receive()
  const ids: string[] = []
  for (let i = 0; i < 10; i++) ids.push((await hook(receiver.url)).id)
  const all = deliverer()
  const told = async () => {
    const before = receiver.got.length
    await settled(all)
    return receiver.got.slice(before).map(({ headers }) => headers['e2b-webhook-id'] as string)
  }
  await happen([1])
  const first = await told()
  expect(first).toHaveLength(8)
  await happen([2])
  const second = await told()
  // Two each for the two that had to wait.
  const waited = ids.filter((id) => !first.includes(id))
  expect(second.filter((id) => waited.includes(id))).toHaveLength(4)
})

test('what other teams do writes nothing', async () => {
  await using receiver = await receive()
  const { id } = await hook(receiver.url)
  const before = await store.webhooks.find(id)
  await happen([1, 2], 'other')
  const all = deliverer()
  await settled(all)
  await settled(all)
  expect(await store.webhooks.find(id)).toEqual(before)
  await happen([3])
  await settled(all)
  expect(receiver.numbers()).toEqual([3])
})

test('a webhook that is turned off and on during an attempt goes on from now, whatever comes of it', async () => {
  await using receiver = await receive()
  const { id } = await hook(receiver.url)
  const ref = { teamId: 'team', id }
  await happen([1])
  receiver.hold()
  const all = deliverer()
  await all.look(running)
  await expect.poll(() => receiver.numbers()).toEqual([1])
  await updateWebhook(ctx(), ref, { enabled: false })
  await happen([2])
  await updateWebhook(ctx(), ref, { enabled: true })
  receiver.letGo()
  await all.idle()
  await happen([3])
  await settled(all)
  expect(receiver.numbers()).toEqual([1, 3])
})
