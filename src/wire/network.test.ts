import { describe, expect, test } from 'vitest'
import { parseEgress, parseNetwork, presentNetwork } from './network.ts'

/** What stands for the port in a mask. */
const port = ['$', '{PORT}'].join('')

describe('networks are checked', () => {
  test.each([
    [{ denyOut: ['example.com'] }, 'invalid_argument', /denyOut/],
    [{ denyOut: ['10.0.0.0/33'] }, 'invalid_argument', /denyOut/],
    [{ denyOut: ['10.0.0.0/8/8'] }, 'invalid_argument', /denyOut/],
    [{ allowOut: ['not a domain'] }, 'invalid_argument', /allowOut/],
    [
      { allowOut: ['example.com'] },
      'invalid_argument',
      /^When specifying allowed domains in allow out, you must include 'ALL_TRAFFIC' in deny out to block all other traffic\.$/,
    ],
    [{ egressProxy: { address: 'proxy:1080' } }, 'forbidden', /egressProxy/],
    [
      { rules: Object.fromEntries(Array.from({ length: 11 }, (_, i) => [`a${i}.com`, []])) },
      'invalid_argument',
      /10/,
    ],
    [{ rules: { 'a.com': [{}, {}] } }, 'invalid_argument', /one transform/],
    [{ rules: { '-': [] } }, 'invalid_argument', /domain/],
    [{ rules: { '*': [] } }, 'invalid_argument', /domain/],
    [{ rules: { 'a.com': [{ transform: { headers: { 'bad name': 'x' } } }] } }, 'invalid_argument', /name/],
    [{ rules: { 'a.com': [{ transform: { headers: { a: 'line\nbreak' } } }] } }, 'invalid_argument', /value/],
  ])('%j is %s', (body, code, message) => {
    expect(() => parseEgress(body)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    )
  })

  test.each(['', 'http://x', 'a b', 'x:123456', 'x'.repeat(300)])('maskRequestHost %j is refused', (mask) => {
    expect(() => parseNetwork({ maskRequestHost: mask })).toThrow(/maskRequestHost/)
  })
})

test('what is right comes back as it was said', () => {
  const body = {
    allowPublicTraffic: false,
    allowOut: ['*.example.com', '8.8.8.8', '2001:db8::/32'],
    denyOut: ['0.0.0.0/0'],
    maskRequestHost: `inside.example.com:${port}`,
    rules: { 'example.com': [{ transform: { headers: { 'x-a': 'b' } } }] },
    httpsPorts: [8443],
  }
  expect(presentNetwork(parseNetwork(body))).toEqual(body)
  expect(presentNetwork(parseNetwork({}))).toEqual({ allowPublicTraffic: true })
})

test('domains of rules are kept in lower case', () => {
  expect(parseEgress({ rules: { '*.Example.COM': [] } }).rules).toEqual({ '*.example.com': [] })
})
