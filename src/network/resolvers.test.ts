import { expect, test } from 'vitest'
import { asidePrefix } from '../lib/resolv-conf.ts'
import { engineServersOf, hostResolvers, nameServersOf } from './resolvers.ts'

test('name servers are read as resolvers write them down', () => {
  const text =
    '# nameserver 1.2.3.4\nsearch lan\nnameserver 10.0.0.53\n nameserver\tfd00::53\nnameserver 127.0.0.53 # stub\n'
  expect(nameServersOf(text)).toEqual(['10.0.0.53', 'fd00::53', '127.0.0.53'])
})

test('those that our own responder has taken the place of count', () => {
  const text = `nameserver 127.0.0.1\n${asidePrefix('e2b.example')}nameserver 10.0.0.53\n#nameserver 10.0.0.54\n`
  expect(nameServersOf(text)).toEqual(['127.0.0.1', '10.0.0.53'])
})

test('an engine may have its own', () => {
  expect(engineServersOf('{"dns":["10.0.0.2"],"mtu":1400}')).toEqual(['10.0.0.2'])
  for (const text of ['', 'null', '{', '{"dns":"10.0.0.2"}']) expect(engineServersOf(text)).toEqual([])
})

test('only those that containers ask themselves are named', async () => {
  for (const address of await hostResolvers()) expect(address).toMatch(/^(?!127\.)\d+\.\d+\.\d+\.\d+$/)
})
