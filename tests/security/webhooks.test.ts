/** Webhooks are requests that the server makes for whoever names an address. */
import { expect, test } from 'vitest'
import { ask } from './support/ask.ts'
import { attacked } from './support/attacked.ts'

const { attackerKey, url } = attacked()

test.each([
  'ftp://203.0.113.7/',
  'file:///etc/passwd',
  'gopher://203.0.113.7/',
  'javascript:alert(1)',
  'data:text/plain,x',
  'unix:/var/run/docker.sock',
  'http://user:secret@203.0.113.7/',
  'http://user@203.0.113.7/',
  'http://',
  '//203.0.113.7/',
  'http://203.0.113.7:99999/',
  `x${url}`,
  `http://203.0.113.7/${'a'.repeat(3_000)}`,
])('%s is no address of one', async (target) => {
  const body = JSON.stringify({ name: 'x', url: target, signatureSecret: 'a secret of sixteen' })
  const { status, text } = await ask('POST /events/webhooks', { headers: { 'x-api-key': attackerKey }, body })
  expect(status, text).toBe(400)
})

test.each(['', 'short', 'x'.repeat(257)])('a secret %# is refused', async (signatureSecret) => {
  const body = JSON.stringify({ name: 'x', url: 'https://203.0.113.7/', signatureSecret })
  const { status } = await ask('POST /events/webhooks', { headers: { 'x-api-key': attackerKey }, body })
  expect(status).toBe(400)
})
