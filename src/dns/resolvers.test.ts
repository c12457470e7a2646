import { expect, test } from 'vitest'
import { systemResolvers } from './resolvers.ts'

const own = { address: '127.0.0.1', port: 53 }
const found = (set: string[], behind: string[] = [], aside: string[] = []) =>
  systemResolvers(own, 'e2b.local', {
    set: () => set,
    behindResolved: () => behind,
    setAside: () => aside,
  })().map(({ address, port }) => `${address} ${port}`)

test('those that the machine is set to use, without this server’s own', () => {
  expect(found(['127.0.0.1', '192.0.2.1', '[2001:db8::1]:5353', '127.0.0.1:54', '2001:db8::2'])).toEqual([
    '192.0.2.1 53',
    '2001:db8::1 5353',
    '127.0.0.1 54',
    '2001:db8::2 53',
  ])
})

test('those behind systemd-resolved, which has this server among its own', () => {
  expect(found(['127.0.0.53'], ['127.0.0.1', '192.0.2.1'])).toEqual(['192.0.2.1 53'])
  expect(found(['127.0.0.53'])).toEqual(['127.0.0.53 53'])
  expect(found(['127.0.0.53'], ['127.0.0.1'])).toEqual([])
})

test('those that it was set to use before, where this server has taken their place', () => {
  expect(found(['127.0.0.1'], [], ['127.0.0.1', '192.0.2.1'])).toEqual(['192.0.2.1 53'])
  expect(found(['127.0.0.1', '192.0.2.2'], [], ['192.0.2.1'])).toEqual(['192.0.2.2 53'])
})
