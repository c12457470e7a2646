/** Webhooks as E2B's documentation has them, told by a server as a user runs it. */
import { createHash } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startReceiver } from '../support/receiver.ts'
import { sdks } from '../support/sdks.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer({ flags: ['--webhook-allow', '127.0.0.0/8'] })
})
afterAll(() => server[Symbol.asyncDispose]())

const { Sandbox } = sdks[0]!.sdk
const secret = 'secret-for-event-signature-verification'

test('a sandbox’s life reaches a webhook, signed and in order, also over kill -9', async () => {
  await using receiver = await startReceiver()
  receiver.status = 503
  const made = await fetch(`${server.url}/events/webhooks`, {
    method: 'POST',
    headers: { 'x-api-key': server.apiKey, 'content-type': 'application/json' },
    body: JSON.stringify({
      name: 'mine',
      url: receiver.url,
      enabled: true,
      events: [],
      signatureSecret: secret,
    }),
  })
  expect(made.status).toBe(201)
  const { id } = (await made.json()) as { id: string }

  const sandbox = await Sandbox.create({ metadata: { user: '42' } })
  await expect.poll(() => receiver.got.length, { timeout: 15_000 }).toBeGreaterThan(0)
  await server.end('SIGKILL')
  receiver.status = 200
  await server.restart()
  await sandbox.setTimeout(60_000)
  await sandbox.kill()

  const newest = () => receiver.got.at(-1)?.body
  await expect.poll(newest, { timeout: 20_000 }).toContain('lifecycle.killed')
  // The first came once or more before the crash, and was refused.
  const types = receiver.got.map(({ body }) => JSON.parse(body).type.replace('sandbox.lifecycle.', ''))
  expect(types.slice(-2)).toEqual(['updated', 'killed'])
  expect(new Set(types.slice(0, -2))).toEqual(new Set(['created']))

  for (const { headers, body } of receiver.got) {
    expect(JSON.parse(body)).toMatchObject({
      version: 'v2',
      event_category: 'lifecycle',
      sandbox_id: sandbox.sandboxId,
      event_data: { sandbox_metadata: { user: '42' } },
    })
    const digest = createHash('sha256').update(secret + body)
    expect(headers).toMatchObject({
      'e2b-webhook-id': id,
      'e2b-signature-version': 'v1',
      'e2b-signature': digest.digest('base64').replace(/=+$/, ''),
    })
  }
  const last = JSON.parse(receiver.got.at(-1)!.body)
  expect(last).toMatchObject({ event_label: 'kill', event_data: { execution: { vcpu_count: 2 } } })
  const deliveries = receiver.got.map(({ headers }) => headers['e2b-delivery-id'])
  expect(new Set(deliveries).size).toBe(deliveries.length)
  expect(server.output()).not.toContain(secret)
})
