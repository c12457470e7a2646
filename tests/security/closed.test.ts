/** Out of a sandbox without internet access, for its root and its user, however it came to be closed. */
import { randomInt } from 'node:crypto'
import { Sandbox, type SandboxOpts } from 'e2b'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testedRuntime } from '../../scripts/test/runtime.mjs'
import { neighbour } from '../../src/runtimes/docker/egress.fixture.ts'
import { attacked } from './support/attacked.ts'
import { attemptInside } from './support/inside.ts'

const { url, attackerKey } = attacked()
const at = { apiUrl: url, sandboxUrl: url, apiKey: attackerKey, timeoutMs: 3_600_000 }
const host = `203.0.113.${randomInt(1, 250)}`

/** By what an engine answers inside its containers, which other runtimes don't have. */
const engineWays: [string, string][] = [
  ['a question to the engine', 'ask_engine(53)'],
  ['a question to the engine, past port 53', "ask_engine(engine_port('udp'))"],
  ['a connection to the engine’s resolver', "tcp('127.0.0.11', 53)"],
  ['the same past port 53', "tcp('127.0.0.11', engine_port('tcp'))"],
]
/** `HOST` and `PORT` are those of a machine outside. The ways that lead there from a sandbox that is open: */
const ways: [string, string][] = [
  ['TCP', "tcp('HOST', PORT)"],
  ['TCP in IPv6’s notation', "tcp('::ffff:HOST', PORT)"],
  ['TCP with data in its first packet', "tcp_fast_open('HOST', PORT)"],
  ['UDP', "udp('HOST', PORT)"],
  ['an echo', "icmp('HOST')"],
  ['a name', "resolve('name.invalid')"],
  ['TCP from the agent’s port', "tcp_from_port(49982, 'HOST', PORT)"],
  ['a mark of an interface', "tcp_with(25, b'eth0', 'HOST', PORT)"],
  ...(testedRuntime() === 'docker' ? engineWays : []),
]
/** What leads nowhere in any sandbox. */
const dead: [string, string][] = [
  ['a raw socket', 'socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)'],
  ['a packet socket', 'socket.socket(17, socket.SOCK_RAW, 0x0300)'],
  ['the loopback’s address as source', "udp_from('127.0.0.1', 'HOST', PORT)"],
  ['the outside’s address as source', "udp_from('HOST', 'HOST', PORT)"],
  ['a mark of the packets', "tcp_with(36, 1, 'HOST', PORT)"],
  ['TCP over IPv6', "tcp('2001:db8::1', 80)"],
  ['UDP over IPv6', "udp('2001:db8::1', 53)"],
  ['everybody of its network', "udp('255.255.255.255', 9)"],
  ['a group of hosts', "udp('224.0.0.251', 5353)"],
  ['a change of the rules', 'netlink(12, 16, bytes([0, 0, 0, 10]))'],
  ['a new address', 'netlink(0, 20, struct.pack("=BBBBI", 2, 24, 0, 0, 2))'],
  ['a new route', 'netlink(0, 24, struct.pack("=BBBBBBBBI", 2, 0, 0, 0, 254, 3, 0, 1, 0))'],
  ['a new interface', 'netlink(0, 16, struct.pack("=BBHiII", 0, 0, 0, 0, 0, 0))'],
  ['taking the loopback down', 'fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sH22x", b"lo", 0))'],
]
const attempts = [...ways, ...dead]

let next: Awaited<ReturnType<typeof neighbour>>
const made: Sandbox[] = []
const make = async (options: SandboxOpts = {}) => {
  const sandbox = await Sandbox.create({ ...at, ...options })
  made.push(sandbox)
  return sandbox
}
const outcomesIn = (sandbox: Sandbox, list: readonly [string, string][], user: 'root' | 'user') => {
  const filled = list.map(([, code]) => code.replaceAll('HOST', host).replaceAll('PORT', String(next.port)))
  return attemptInside(filled, { sandbox, user })
}

beforeAll(async () => {
  next = await neighbour([host])
})
afterAll(async () => {
  await Promise.all(made.map((sandbox) => sandbox.kill()))
  await next[Symbol.asyncDispose]()
})

test('an open sandbox gets out by each way', async () => {
  const outcomes = await outcomesIn(await make(), ways, 'root')
  expect(Object.fromEntries(ways.map(([name], i) => [name, outcomes[i]]))).toEqual(
    Object.fromEntries(ways.map(([name]) => [name, 'succeeded'])),
  )
}, 100_000)

const closings: [string, () => Promise<Sandbox>][] = [
  ['closed at create', () => make({ allowInternetAccess: false })],
  [
    'closed while it runs',
    async () => {
      const sandbox = await make()
      await sandbox.updateNetwork({ denyOut: ['0.0.0.0/0'] })
      return sandbox
    },
  ],
  [
    'closed and booted again',
    async () => {
      const sandbox = await make({ network: { denyOut: ['0.0.0.0/0'] } })
      await sandbox.pause({ keepMemory: false })
      return await Sandbox.connect(sandbox.sandboxId, at)
    },
  ],
]

describe.each(closings)('a sandbox that was %s', (_name, close) => {
  const outcomes = { root: [] as string[], user: [] as string[] }
  beforeAll(async () => {
    const sandbox = await close()
    for (const user of ['root', 'user'] as const) outcomes[user] = await outcomesIn(sandbox, attempts, user)
  }, 150_000)

  describe.each(['root', 'user'] as const)('%s gets nothing out by', (user) => {
    test.each(attempts.map(([name], index) => ({ name, index })))('$name', ({ index }) => {
      expect(outcomes[user][index]).toMatch(/^held: /)
    })
  })
})
