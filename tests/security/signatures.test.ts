/** Signed file URLs that were changed, cut, moved or guessed. */
import { describe, expect, test } from 'vitest'
import { sign } from '../../src/auth/signature.ts'
import { ask, routeTo } from './support/ask.ts'
import { attacked } from './support/attacked.ts'

const { victim, attacker } = attacked()
const path = '/home/user/recorder.cjs'
const request = { path, operation: 'read' as const, username: 'user' }
const soon = Math.floor(Date.now() / 1000) + 3600
const good = sign(request, victim.token)
const ending = sign({ ...request, expiration: soon }, victim.token)
const past = sign({ ...request, expiration: 1 }, victim.token)

const query = (signature: string, more: Record<string, string> = {}) =>
  new URLSearchParams({ path, username: 'user', signature, ...more }).toString()

const attempts: [string, string, ('GET' | 'POST')?][] = [
  ['none', new URLSearchParams({ path, username: 'user' }).toString()],
  ['an empty one', query('')],
  ['null', query('null')],
  ['a letter changed', query(good.slice(0, -1) + (good.endsWith('A') ? 'B' : 'A'))],
  ['the end cut', query(good.slice(0, -1))],
  ['more at the end', query(`${good}A`)],
  ['padding', query(`${good}=`)],
  ['its version changed', query(good.replace('v1_', 'v2_'))],
  ['without its version', query(good.slice(3))],
  ['in capitals', query(good.toUpperCase())],
  ['as base64url or not at all', query(`v1_${'-'.repeat(43)}`)],
  ['hexadecimal', query(`v1_${Buffer.from(good.slice(3), 'base64').toString('hex')}`)],
  ['another path', query(good, { path: '/etc/shadow' })],
  ['the path in another spelling', query(good, { path: '/home/user/./recorder.cjs' })],
  ['another user', query(good, { username: 'root' })],
  ['no user', new URLSearchParams({ path, signature: good }).toString()],
  ['another operation', query(good), 'POST'],
  ['its end stripped', query(ending)],
  ['its end moved', query(ending, { signature_expiration: String(soon + 1) })],
  ['an end that it hasn’t', query(good, { signature_expiration: String(soon) })],
  ['an end in the past', query(past, { signature_expiration: '1' })],
  ['its end in another notation', query(ending, { signature_expiration: `${soon}.0` })],
  ['its end with a sign', query(ending, { signature_expiration: `+${soon}` })],
  ['made with another sandbox’s token', query(sign(request, attacker.token))],
  ['made with an empty token', query(sign(request, ''))],
  ['made with the token "null"', query(sign(request, 'null'))],
  ['made with the token "undefined"', query(sign(request, 'undefined'))],
  [
    'parts run together',
    query(sign({ ...request, path: `${path}:read`, username: '' }, `user:${victim.token}`), {
      path: `${path}:read`,
    }),
  ],
]

describe('a signed URL', () => {
  test('works as it was made', async () => {
    const answer = await ask(`GET /files?${query(ending, { signature_expiration: String(soon) })}`, {
      headers: routeTo(victim.id),
    })
    expect(answer.status, answer.text).toBe(200)
  })

  test.each(attempts)('%s: refused by the sandbox', async (_name, search, method = 'GET') => {
    const { status, text } = await ask(`${method} /files?${search}`, { headers: routeTo(victim.id) })
    expect([400, 401, 403], text).toContain(status)
  })

  test.each(attempts.slice(1).filter(([name]) => !name.startsWith('made with another')))(
    '%s: finds no sandbox',
    async (_name, search, method = 'GET') => {
      const { status, text } = await ask(`${method} /files?${search}`)
      expect([400, 401, 403, 404], text).toContain(status)
    },
  )
})
