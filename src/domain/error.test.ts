import { expect, test } from 'vitest'
import { httpStatus } from '../wire/error-map.ts'
import { errorCodes, isErrorCode, ServerError, toError } from './error.ts'

test('every code has a status of its own kind, and a full disk has 507', () => {
  const statuses = errorCodes.map((code) => httpStatus(new ServerError(code, '')))
  expect(statuses).toEqual([400, 401, 403, 404, 409, 429, 412, 504, 503, 501, 499, 500])
  expect(httpStatus(new ServerError('resource_exhausted', '', { errno: 'ENOSPC' }))).toBe(507)
})

test('anything thrown becomes an error that tells the client nothing it shouldn’t know', () => {
  const cause = new Error('password is hunter2')
  expect(toError(cause)).toMatchObject({ code: 'internal', cause })
  expect(toError(cause).message).not.toContain('hunter2')
  expect(toError('text').code).toBe('internal')
  expect(toError(new DOMException('', 'TimeoutError')).code).toBe('deadline_exceeded')
  expect(toError(new DOMException('', 'AbortError')).code).toBe('canceled')
  const own = new ServerError('conflict', 'twice')
  expect(toError(own)).toBe(own)
})

test('codes from outside are checked against the list', () => {
  expect(isErrorCode('conflict')).toBe(true)
  for (const other of ['', 'Conflict', 'constructor', 7, null, undefined])
    expect(isErrorCode(other)).toBe(false)
})
