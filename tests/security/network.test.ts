/** From one sandbox to another, as the root of the first. */
import { beforeAll, describe, expect, test } from 'vitest'
import { recorderPort, victimsSandbox } from './support/attacked.ts'
import { attemptInside } from './support/inside.ts'

/** `VICTIM` is the other sandbox’s address. */
const attempts: [string, string][] = [
  ['a port of it over TCP', `tcp('VICTIM', ${recorderPort})`],
  ['envd’s port over TCP', "tcp('VICTIM', 49983)"],
  ['SSH', "tcp('VICTIM', 22)"],
  ['a low port', "tcp('VICTIM', 1)"],
  ['a port over UDP', "udp('VICTIM', 53)"],
  ['everybody of its network', "udp('255.255.255.255', 9)"],
  ['a group of hosts', "udp('224.0.0.1', 9)"],
  ['a group of hosts over IPv6', "udp('ff02::1', 9)"],
  ['its echo', "run('ping', '-c1', '-W1', 'VICTIM')"],
]

let outcomes: string[]
beforeAll(async () => {
  const { stdout } = await (await victimsSandbox()).commands.run('hostname -I')
  const [address] = stdout.trim().split(/\s+/)
  expect(address).toMatch(/^\d+\.\d+\.\d+\.\d+$/)
  outcomes = await attemptInside([
    ...attempts.map(([, expression]) => expression.replaceAll('VICTIM', address!)),
    'socket.socket().bind(("127.0.0.1", 0))',
  ])
}, 100_000)

describe('a sandbox doesn’t reach', () => {
  test.each(attempts.map(([name], index) => ({ name, index })))('$name', ({ index }) => {
    expect(outcomes[index]).toMatch(/^held: /)
  })
})

test('it has a network of its own', () => {
  expect(outcomes.at(-1)).toBe('succeeded')
})
