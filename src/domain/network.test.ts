import { expect, test } from 'vitest'
import { type EgressRules, egressOf, ruleBeyondSwitch } from './network.ts'

const rules = (some: Partial<EgressRules>): EgressRules => ({ allowOut: [], denyOut: [], rules: {}, ...some })
const networkOf = (some: Partial<EgressRules>) => ({
  ...rules(some),
  allowPublicTraffic: true,
  maskRequestHost: null,
  httpsPorts: [],
})

test.each([
  [{}, undefined],
  [{ denyOut: ['0.0.0.0/0'] }, undefined],
  [{ denyOut: ['1.1.1.1', '0.0.0.0/0', '::/0'] }, undefined],
  [{ denyOut: ['9.9.9.9/00'] }, undefined],
  [{ denyOut: ['::/0'] }, 'denyOut'],
  [{ denyOut: ['::ffff:1.2.3.4/0'] }, 'denyOut'],
  [{ denyOut: ['0.0.0.0'] }, 'denyOut'],
  [{ denyOut: ['0.0.0.0/1', '128.0.0.0/1'] }, 'denyOut'],
  [{ denyOut: ['0.0.0.0/0'], allowOut: ['1.1.1.1'] }, 'allowOut'],
  [{ denyOut: ['0.0.0.0/0'], rules: { 'a.com': [] } }, 'rules'],
])('of %j a switch doesn’t do %s', (some, field) => {
  expect(ruleBeyondSwitch(rules(some))).toBe(field)
})

test('a sandbox is closed by either word, and nothing is done for one of which nobody said any', () => {
  expect(egressOf({ network: null, allowInternetAccess: null })).toBeUndefined()
  expect(egressOf({ network: null, allowInternetAccess: true })).toBe('open')
  expect(egressOf({ network: networkOf({}), allowInternetAccess: null })).toBe('open')
  expect(egressOf({ network: null, allowInternetAccess: false })).toBe('closed')
  const denied = networkOf({ denyOut: ['0.0.0.0/0'] })
  expect(egressOf({ network: denied, allowInternetAccess: true })).toBe('closed')
})
