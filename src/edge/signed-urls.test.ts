import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type SignedRequest, sign } from '../auth/signature.ts'
import type { HttpRequest } from '../domain/http.ts'
import type { LiveSandbox } from '../domain/live-sandbox.ts'
import { createFindSigned } from './signed-urls.ts'

const sandbox = (id: string, accessToken: string | null) => ({ id, accessToken }) as LiveSandbox
const many = Array.from({ length: 1000 }, (_, i) => sandbox(`i${i}`, `token-${i}`))

const request = (url: string, method = 'GET', headers = {}) => ({ method, url, headers }) as HttpRequest

function signedUrl(asked: Partial<SignedRequest>, token: string): string {
  const whole: SignedRequest = { path: '', operation: 'read', username: '', ...asked }
  const query = new URLSearchParams({ signature: sign(whole, token) })
  if (asked.path !== undefined) query.set('path', asked.path)
  if (asked.username !== undefined) query.set('username', asked.username)
  if (asked.expiration !== undefined) query.set('signature_expiration', String(asked.expiration))
  return `/files?${query}`
}

const refused = { kind: 'error', status: 401, message: 'invalid signature' }
const found = (id: string) => ({ kind: 'sandbox', sandboxId: id, port: 49_983 })

describe('a signed URL', () => {
  const find = createFindSigned({ all: () => [sandbox('iopen', null), ...many] })

  test.each(['token-0', 'token-500', 'token-999'])(
    'leads to the sandbox whose token made it (%s)',
    async (token) => {
      const id = token.replace('token-', 'i')
      for (const asked of [{}, { path: '/a b/ü:%' }, { path: 'x', username: 'root', expiration: -5 }]) {
        expect(await find(request(signedUrl(asked, token)))).toEqual(found(id))
      }
      const upload = signedUrl({ path: 'x', operation: 'write' }, token)
      expect(await find(request(upload, 'POST'))).toEqual(found(id))
      expect(await find(request(upload))).toEqual(refused)
    },
  )

  test('may have more than one slash in front, where the base address ends in one', async () => {
    expect(await find(request(`/${signedUrl({ path: 'x' }, 'token-7')}`))).toEqual(found('i7'))
  })

  test.each([
    ['another token', signedUrl({ path: 'x' }, 'token-x')],
    ['another path', signedUrl({ path: 'x' }, 'token-1').replace('path=x', 'path=y')],
    ['no signature in it', '/files?path=x&signature='],
    ['a signature that is none', '/files?path=x&signature=v1_abc'],
    ['an expiration that is none', `${signedUrl({ path: 'x' }, 'token-1')}&signature_expiration=soon`],
    ['the token of nobody', signedUrl({ path: 'x' }, '')],
    ['a sandbox without token', signedUrl({ path: 'x' }, 'null')],
  ])('with %s leads nowhere', async (_name, url) => {
    expect(await find(request(url))).toEqual(refused)
  })

  test.each([
    ['no signature', '/files?path=x', 'GET'],
    ['another path', '/sandboxes?signature=v1_x', 'GET'],
    ['a path that begins alike', '/filesystem?signature=v1_x', 'GET'],
    ['another method', '/files?signature=v1_x', 'DELETE'],
    ['a preflight', '/files?signature=v1_x', 'OPTIONS'],
  ])('is none with %s', (_name, url, method) => {
    expect(find(request(url, method))).toBeUndefined()
  })

  test('is any text at all, and nothing is thrown', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary' }), fc.webQueryParameters(), async (text, query) => {
        const few = createFindSigned({ all: () => many.slice(0, 3) })
        for (const url of [
          text,
          `/files?${text}`,
          `/files?signature=${text}`,
          `/files?signature=v1_x&${query}`,
        ]) {
          expect([undefined, refused]).toContainEqual(await few(request(url)))
        }
      }),
    )
  })
})

describe('a flood', () => {
  const url = signedUrl({ path: 'x' }, 'of nobody')

  test('waits in a line that has an end', async () => {
    const find = createFindSigned({ all: () => many })
    const answers = await Promise.all(Array.from({ length: 200 }, () => find(request(url))))
    const statuses = answers.map((answer) => answer?.kind === 'error' && answer.status)
    expect(statuses.filter((status) => status === 401)).toHaveLength(64)
    expect(statuses.filter((status) => status === 429)).toHaveLength(136)
    expect(await find(request(signedUrl({}, 'token-3')))).toEqual(found('i3'))
  })

  test('leaves turns for everything else', async () => {
    const find = createFindSigned({ all: () => many })
    let turns = 0
    let isOver = false
    const count = () => {
      turns++
      if (!isOver) setImmediate(count)
    }
    setImmediate(count)
    await Promise.all(Array.from({ length: 20 }, () => find(request(url))))
    isOver = true
    // 1000 tokens are tried in 7 slices and a rest.
    expect(turns).toBeGreaterThan(20 * 6)
  })
})
