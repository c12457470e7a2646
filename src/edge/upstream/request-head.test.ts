import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { HttpRequest } from '../../domain/http.ts'
import { requestHead } from './request-head.ts'

const head = (method: string, url: string, headers: string[] = []) =>
  requestHead({ method, url } as HttpRequest, headers)

test('a request as text', () => {
  expect(head('POST', '/a?b=c', ['Host', 'x', 'X-Latin', '\xe4'])).toBe(
    'POST /a?b=c HTTP/1.1\r\nHost: x\r\nX-Latin: \xe4\r\n\r\n',
  )
})

test.each([
  ['GET /x', '/', []],
  ['', '/', []],
  ['GET', '', []],
  ['GET', '/ HTTP/1.1', []],
  ['GET', '/\r\nX: y', []],
  ['GET', '/', ['X', 'a\r\nY: b']],
  ['GET', '/', ['X', 'a\0']],
  ['GET', '/', ['X', '\u4e2d']],
])('what HTTP/1.1 has no way to say is refused (%j %j %j)', (method, url, headers) => {
  expect(() => head(method, url, headers)).toThrow(/can't be sent to a server inside/)
})

test('has as many lines as it has headers, whatever they are', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.array(fc.string({ unit: 'binary' })), (method, url, values) => {
      try {
        const text = head(
          method,
          url,
          values.flatMap((value) => ['X', value]),
        )
        expect(text.split(/[\r\n]+/)).toHaveLength(values.length + 2)
      } catch (error) {
        expect(error).toMatchObject({ code: 'invalid_argument' })
      }
    }),
  )
})
