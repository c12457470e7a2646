import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { startApi, type TestApi } from '../../../../tests/support/api.ts'

let api: TestApi
beforeEach(async () => {
  api = await startApi({ clock: { now: () => Date.parse('2026-01-02T03:04:05.678Z') } })
})
afterEach(() => api[Symbol.asyncDispose]())

const secret = 'a secret that nobody is shown'
const wanted = { name: 'mine', url: 'https://example.com/hook', signatureSecret: secret }
const other = () => ({ headers: { 'x-api-key': api.keys.other } })
const make = async (body: object = wanted) => (await api.ask('POST /events/webhooks', { body })).json()

describe('a webhook', () => {
  test('is made, changed and deleted, and its secret never shown', async () => {
    const made = await api.ask('POST /events/webhooks', { body: wanted })
    expect(made.statusCode).toBe(201)
    const { id } = made.json()
    const shown = {
      id,
      teamId: 'team',
      name: 'mine',
      url: 'https://example.com/hook',
      enabled: true,
      events: [],
      createdAt: '2026-01-02T03:04:05.678Z',
    }
    expect(made.json()).toEqual(shown)
    expect((await api.ask(`GET /events/webhooks/${id}`)).json()).toEqual(shown)
    expect((await api.ask('GET /events/webhooks')).json()).toEqual([shown])

    const change = {
      events: ['sandbox.lifecycle.killed', 'sandbox.lifecycle.checkpointed'],
      enabled: false,
      signatureSecret: 'another secret of some length',
    }
    const changed = await api.ask(`PATCH /events/webhooks/${id}`, { body: change })
    expect(changed.statusCode).toBe(200)
    expect(changed.json()).toEqual({ ...shown, enabled: false, events: change.events })
    expect((await api.control.store.webhooks.find(id))?.secret).toBe(change.signatureSecret)

    expect((await api.ask(`DELETE /events/webhooks/${id}`)).statusCode).toBe(200)
    expect((await api.ask(`GET /events/webhooks/${id}`)).statusCode).toBe(404)
    expect((await api.ask('GET /events/webhooks')).json()).toEqual([])
  })

  test('is nothing to another team', async () => {
    const { id } = await make()
    expect((await api.ask('GET /events/webhooks', other())).json()).toEqual([])
    for (const method of ['GET', 'PATCH', 'DELETE']) {
      const body = method === 'PATCH' ? { enabled: false } : undefined
      const answer = await api.ask(`${method} /events/webhooks/${id}`, { ...other(), ...(body && { body }) })
      expect([method, answer.statusCode]).toEqual([method, 404])
    }
    expect((await api.control.store.webhooks.find(id))?.enabled).toBe(true)
  })

  test.each<[string, object]>([
    ['no address', { url: 'nowhere' }],
    ['another protocol', { url: 'ftp://example.com/' }],
    ['a user name', { url: 'https://user:pass@example.com/' }],
    ['an unknown event', { events: ['sandbox.lifecycle.exploded'] }],
    ['a short secret', { signatureSecret: 'short' }],
    ['no name', { name: '' }],
  ])('with %s is refused, made or changed', async (_, wrong) => {
    const made = await api.ask('POST /events/webhooks', { body: { ...wanted, ...wrong } })
    expect(made.statusCode).toBe(400)
    const { id } = await make()
    expect((await api.ask(`PATCH /events/webhooks/${id}`, { body: wrong })).statusCode).toBe(400)
    expect((await api.ask(`GET /events/webhooks/${id}`)).json().url).toBe(wanted.url)
  })

  test('too many are refused', async () => {
    for (let i = 0; i < 50; i++) await make()
    const more = await api.ask('POST /events/webhooks', { body: wanted })
    expect(more.statusCode).toBe(429)
    expect(more.json().message).toContain('at most 50')
  })
})
