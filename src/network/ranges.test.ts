import { expect, test } from 'vitest'
import { closedRanges, createRanges, parseCidr } from './ranges.ts'

const closed = closedRanges()

test.each([
  ...['0.0.0.0', '0.1.2.3', '10.0.0.1', '10.255.255.255', '100.64.0.1', '100.100.100.200', '100.127.255.255'],
  ...['127.0.0.1', '127.255.0.1', '168.63.129.16', '169.254.169.254', '172.16.0.1', '172.31.255.255'],
  ...['192.0.0.192', '192.168.0.1', '198.19.0.1', '224.0.0.251', '239.1.1.1', '240.0.0.1', '255.255.255.255'],
  ...[
    '::',
    '::1',
    'fc00::1',
    'fd00:ec2::254',
    'fd20:ce::254',
    'fe80::1',
    'fe80::1%eth0',
    'fec0::1',
    'ff02::fb',
  ],
  ...['::ffff:127.0.0.1', '::ffff:7f00:1', '::ffff:169.254.169.254', '::127.0.0.1', '::a9fe:a9fe'],
  ...[
    '64:ff9b::10.0.0.1',
    '64:ff9b::a9fe:a9fe',
    '64:ff9b:1::1',
    '2002:a9fe:a9fe::',
    '2002:7f00:1::1',
    '2001::1',
  ],
])('%s is closed', (address) => {
  expect(closed.has(address)).toBe(true)
})

test.each([
  ...[
    '1.1.1.1',
    '9.255.255.255',
    '11.0.0.0',
    '100.63.255.255',
    '100.128.0.0',
    '172.15.255.255',
    '172.32.0.0',
  ],
  ...['168.63.129.15', '192.0.1.1', '192.167.255.255', '203.0.113.7', '223.255.255.255'],
  ...['2001:db8::1', '2606:4700::1111', '::ffff:8.8.8.8', '64:ff9b::8.8.8.8', '2002:808:808::1'],
])('%s is open', (address) => {
  expect(closed.has(address)).toBe(false)
})

test('a range holds its addresses in every notation, and nothing else', () => {
  const ranges = createRanges(['127.0.0.0/8', '10.1.2.3', 'fd00:1::/32'])
  for (const address of ['127.9.9.9', '::ffff:127.0.0.1', '10.1.2.3', 'fd00:1::5', '64:ff9b::127.0.0.1'])
    expect(ranges.has(address)).toBe(true)
  for (const address of ['10.1.2.4', '::1', 'fd00:2::5', 'localhost', ''])
    expect(ranges.has(address)).toBe(false)
})

test.each([
  '',
  '10.0.0.0/33',
  '10.0.0/8',
  '::/129',
  'fe80::1%eth0',
  '10.0.0.0/8/8',
  '10.0.0.0/-1',
  'a.b',
  '010.1.1.1',
])('%j is no CIDR block', (text) => {
  expect(parseCidr(text)).toBeUndefined()
  expect(() => createRanges([text])).toThrow(TypeError)
})

test('an address alone is a block of one', () => {
  expect(parseCidr('10.0.0.1')).toEqual({ address: '10.0.0.1', prefix: 32, family: 'ipv4' })
  expect(parseCidr('fd00::/8')).toEqual({ address: 'fd00::', prefix: 8, family: 'ipv6' })
})
