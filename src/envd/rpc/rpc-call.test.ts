import { describe, expect, it } from 'vitest'
import { basicUser, parseKeepaliveMs, parseTimeoutMs } from './rpc-call.ts'

describe('the headers of an RPC', () => {
  it.each([
    [undefined, undefined],
    ['Basic cm9vdDo=', 'root'],
    ['basic cm9vdA==', 'root'],
    [`Basic ${Buffer.from('jürgen:secret:x').toString('base64')}`, 'jürgen'],
    ['Basic Og==', undefined],
    ['Basic ', undefined],
    ['Basic ()', undefined],
    ['Bearer cm9vdDo=', undefined],
  ])('name with %j the user %s', (header, user) => {
    expect(basicUser(header)).toBe(user)
  })

  it.each([
    [undefined, undefined],
    ['0', undefined],
    ['000', undefined],
    ['-1', undefined],
    ['soon', undefined],
    ['12345678901', undefined],
    ['60000', 60_000],
    ['9999999999', 9_999_999_999],
  ])('limit with %j to %s ms', (header, timeoutMs) => {
    expect(parseTimeoutMs(header)).toBe(timeoutMs)
  })

  it.each([
    [undefined, 90_000],
    ['50', 50_000],
    ['0', 1000],
    ['1000000', 3_600_000],
    ['-5', 90_000],
    ['x', 90_000],
  ])('ask with %j for a sign of life every %s ms', (header, ms) => {
    expect(parseKeepaliveMs(header)).toBe(ms)
  })
})
