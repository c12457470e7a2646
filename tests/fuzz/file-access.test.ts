/** Who may have a file, and which part of it: signatures, conditions, ranges. */
import type { IncomingMessage } from 'node:http'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { sign } from '../../src/auth/signature.ts'
import { ServerError } from '../../src/domain/error.ts'
import { requireFileAccess } from '../../src/envd/access.ts'
import { isConditional, select } from '../../src/envd/files/conditions.ts'
import { etag, lastModified } from '../../src/envd/files/content-headers.ts'
import type { EnvdTarget } from '../../src/envd/target.ts'
import type { Entry } from '../../src/guest/entry.ts'
import { isText } from './support/bytes.ts'
import { fuzz } from './support/fuzz.ts'

const accessToken = 'f3a9c17e0b5d4286'.repeat(4)
const target = { accessToken } as EnvdTarget
const operation = fc.constantFrom<'read' | 'write'>('read', 'write')
const word = fc.oneof(
  fc.constantFrom('', 'a', 'a:b', 'x:read:y', '/etc/passwd', '../..', 'ü', '%2F', 'a b', '\0', ':', 'v1_'),
  fc.string({ maxLength: 12 }),
  fc.string({ maxLength: 12, unit: 'binary' }).filter(isText),
)
const time = fc.oneof(
  fc.constantFrom('', '0', '-1', '1e3', ' 1', '9'.repeat(30), '4102444800'),
  fc.string({ maxLength: 8 }),
)

interface Asked {
  path: string
  username: string
  expiration: string | null
  operation: 'read' | 'write'
}

const asked: fc.Arbitrary<Asked> = fc.record({
  path: word,
  username: word,
  expiration: fc.option(time, { nil: null }),
  operation,
})

/** What is hashed, but for the token: two requests with the same text are the same to the protocol (e2b-wire 3.6). */
function signedText({ path, username, expiration, operation: op }: Asked): string {
  return JSON.stringify([`${path}:${op}:${username}`, expiration ?? ''])
}

function admit(
  { path, username, expiration, operation: op }: Asked,
  signature: string | null,
  token?: string,
): boolean {
  const query = new URLSearchParams({ path, username })
  if (signature !== null) query.set('signature', signature)
  if (expiration !== null) query.set('signature_expiration', expiration)
  const req = { headers: token === undefined ? {} : { 'x-access-token': token } } as IncomingMessage
  try {
    requireFileAccess(target, req, query, op)
    return true
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(ServerError)
    expect(['unauthenticated', 'invalid_argument']).toContain((thrown as ServerError).code)
    expect((thrown as ServerError).message).not.toContain(accessToken)
    return false
  }
}

function signatureOf({ path, username, expiration, operation: op }: Asked, token: string): string {
  const ends = expiration === null || expiration === '' ? {} : { expiration: Number(expiration) }
  return sign({ path, operation: op, username, ...ends }, token)
}

test('signatures: good for what was signed and for nothing else', () =>
  fuzz({
    name: 'signatures',
    input: fc.record({ signed: asked, used: asked, forged: word, token: word }),
    check({ signed, used, forged, token }) {
      const signature = signatureOf(signed, accessToken)
      const isTime =
        signed.expiration === null || signed.expiration === '' || /^-?\d+$/.test(signed.expiration)
      const seconds = Number(signed.expiration)
      const isDue =
        !signed.expiration || (Number.isSafeInteger(seconds) && seconds >= Math.floor(Date.now() / 1000))
      expect(admit(signed, signature)).toBe(isTime && isDue)
      if (signedText(used) !== signedText(signed)) {
        const same = signatureOf(used, accessToken) === signature
        expect(admit(used, signature)).toBe(same && admit(used, signatureOf(used, accessToken)))
      }
      expect(admit(used, null)).toBe(false)
      expect(admit(used, forged)).toBe(false)
      expect(admit(used, signatureOf(used, token))).toBe(false)
      expect(admit(used, signature, token)).toBe(token === '' && admit(used, signature))
      expect(admit(used, null, accessToken)).toBe(true)
    },
  }))

const number = fc.oneof(
  fc.nat({ max: 3000 }).map(String),
  fc.constantFrom('', '0', '-1', '00', '9'.repeat(20), '1.5', 'x'),
)
const range = fc.oneof(
  fc.tuple(number, number).map(([first, last]) => `bytes=${first}-${last}`),
  fc.constantFrom('bytes=0-0,2-3', 'bytes', 'bytes=', 'items=0-1', 'bytes=-', ' bytes = 0 - 1 '),
  fc.string({ maxLength: 12 }),
)

test('ranges: always inside of the file', () => {
  const entryOf = (size: number, modifiedMs: number): Entry => ({
    name: 'f',
    type: 'file',
    path: '/f',
    size,
    mode: 0o644,
    permissions: '-rw-r--r--',
    owner: 'root',
    group: 'root',
    modifiedMs,
    metadata: {},
  })
  return fuzz({
    name: 'ranges',
    input: fc.record({
      size: fc.integer({ min: 1, max: 2000 }),
      modifiedMs: fc.double({ min: 0, max: 4e12, noNaN: true }),
      range: fc.option(range, { nil: null }),
      match: fc.option(fc.oneof(fc.constantFrom('*', 'current', 'W/current', '"x"'), word), { nil: null }),
      since: fc.option(fc.oneof(fc.constantFrom('current', 'Thu, 01 Jan 1970 00:00:00 GMT'), word), {
        nil: null,
      }),
      ifRange: fc.option(fc.oneof(fc.constantFrom('current', 'modified', '"x"'), word), { nil: null }),
    }),
    check(input) {
      const entry = entryOf(input.size, input.modifiedMs)
      const tag = etag(entry)
      const modified = lastModified(entry) ?? ''
      const headers = {
        ...(input.range !== null && { range: input.range }),
        ...(input.match !== null && { 'if-none-match': input.match.replace('current', tag) }),
        ...(input.since !== null && { 'if-modified-since': input.since.replace('current', modified) }),
        ...(input.ifRange !== null && {
          'if-range': input.ifRange.replace('current', tag).replace('modified', modified),
        }),
      }
      const selection = select(headers, entry)
      if (!isConditional(headers)) expect(selection).toEqual({ status: 200 })
      if (selection.status === 206) {
        expect(selection.start).toBeGreaterThanOrEqual(0)
        expect(selection.length).toBeGreaterThanOrEqual(1)
        expect(selection.start + selection.length).toBeLessThanOrEqual(input.size)
        expect(Number.isSafeInteger(selection.start + selection.length)).toBe(true)
      }
      if (input.match === 'current' || input.match === '*') expect(selection.status).toBe(304)
      const plain = /^bytes=(\d{1,4})-(\d{1,4})$/.exec(input.range ?? '')
      if (plain === null || input.match !== null || input.since !== null || input.ifRange !== null) return
      const [first, last] = [Number(plain[1]), Number(plain[2])]
      if (last < first) expect(selection).toEqual({ status: 200 })
      else if (first >= input.size) expect(selection).toEqual({ status: 416 })
      else
        expect(selection).toEqual({
          status: 206,
          start: first,
          length: Math.min(last + 1, input.size) - first,
        })
    },
  })
})
