/** What one sandbox may do to the kernel's table of connections, with real traffic and bounds that a test can reach. */
import { randomInt } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { baseImageName, buildBaseImage } from '../../../images/base/build.mjs'
import type { GuestHandle, Runtime } from '../../domain/runtime.ts'
import { applyRules } from '../../network/nft.ts'
import { instanceRules, type RuleSubject } from '../../network/rules.ts'
import { guestOf, guestSpec, run } from '../tools.suite.ts'
import { instanceLabel } from './container.ts'
import { neighbour } from './egress.fixture.ts'
import { tableName } from './firewall.ts'
import { docker, patience, server } from './runtime.fixture.ts'
import { agentPort } from './tcp-transport.ts'

const image = await baseImageName()
const isRoot = process.getuid?.() === 0
const plenty = 10_000

beforeAll(() => buildBaseImage({ log: () => {} }), 15 * 60_000)

describe.runIf(isRoot)('a sandbox is bounded in', () => {
  const host = `203.0.113.${randomInt(1, 250)}`
  let next: Awaited<ReturnType<typeof neighbour>>
  let one: Awaited<ReturnType<typeof server>>
  let runtime: Runtime
  let greedy: GuestHandle
  let modest: GuestHandle

  const python = async (handle: GuestHandle, code: string) => {
    const encoded = Buffer.from(`import socket, struct, time\n${code}`).toString('base64')
    const ended = await run(guestOf(runtime, handle), `echo ${encoded} | base64 -d | python3 -`)
    expect(ended.stderr).toBe('')
    return ended.stdout.trim()
  }
  /** How many of so many datagrams are answered: of one socket, or each of another. */
  const answered = async (handle: GuestHandle, datagrams: number, sockets: number) =>
    Number(
      await python(
        handle,
        `
socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(${sockets})]
for sock in socks:
    sock.connect(('${host}', ${next.port})); sock.setblocking(False)
for i in range(${datagrams}):
    socks[i % len(socks)].send(b'?')
    time.sleep(0.001)
count, last = 0, time.monotonic()
while time.monotonic() - last < 2:
    for sock in socks:
        try:
            while sock.recv(4): count += 1; last = time.monotonic()
        except OSError: pass
    time.sleep(0.01)
print(count)`,
      ),
    )
  /** Puts rules in place of those that there are, with other bounds, and what a test changes about them. */
  const bound = async (bounds: RuleSubject['bounds'], changes: Record<string, string> = {}) => {
    const filters = { label: [`${instanceLabel}=${one.instanceId}`] }
    const [network] = await docker.listNetworks({ filters })
    const subnet = network!.IPAM?.Config?.[0]?.Subnet
    const subject = {
      table: tableName(one.instanceId),
      bridge: `br-${network!.Id.slice(0, 12)}`,
      subnet: subnet!,
    }
    const text = instanceRules({ ...subject, resolvers: [], allow: [], agentPort, bounds })
    for (const part of Object.keys(changes)) expect(text).toContain(part)
    await applyRules(Object.entries(changes).reduce((all, [from, to]) => all.replace(from, to), text))
  }

  beforeAll(async () => {
    next = await neighbour([host])
    one = await server()
    runtime = one.create()
  }, 60_000)
  beforeEach(async () => {
    greedy = await runtime.start(guestSpec(image), patience())
    modest = await runtime.start(guestSpec(image), patience())
    return async () => {
      for (const handle of [greedy, modest]) await runtime.destroy(handle, patience())
    }
  })
  afterAll(async () => {
    await runtime.close()
    await one.dispose()
    await next[Symbol.asyncDispose]()
  })

  test('connections at once, and its neighbours are not', async () => {
    await bound({ connections: 20, connectionsPerSecond: plenty, packetsPerSecond: plenty })
    // Opened side by side and held; those beyond the bound come to nothing. Then they are reset, and others take their place.
    const open = await python(
      greedy,
      `
def connect():
    sock = socket.socket(); sock.setblocking(False)
    sock.connect_ex(('${host}', ${next.talkPort}))
    return sock
def is_open(sock):
    try: return sock.getpeername() is not None
    except OSError: return False
socks = [connect() for _ in range(60)]
begun = time.monotonic()
while sum(map(is_open, socks)) < 20 and time.monotonic() - begun < 20: time.sleep(0.05)
time.sleep(1)
print(sum(map(is_open, socks)))
for sock in socks:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0)); sock.close()
for _ in range(40):
    try: socket.create_connection(('${host}', ${next.talkPort}), 1).close(); print('again'); break
    except OSError: pass`,
    )
    expect(open).toBe('20\nagain')
    expect(await answered(modest, 5, 1)).toBe(5)
  })

  test('new connections in a time, and its neighbours are not', async () => {
    const few = { connections: 30, connectionsPerSecond: 1, packetsPerSecond: plenty }
    await bound(few, { '1/second burst 30': '1/hour burst 30', 'count over 30': 'count over 9000' })
    expect(await answered(greedy, 90, 90)).toBe(30)
    expect(await answered(modest, 10, 10)).toBe(10)
  })

  test('packets in a time, and its neighbours are not', async () => {
    const few = { connections: 900, connectionsPerSecond: plenty, packetsPerSecond: 40 }
    await bound(few, { '40/second burst 40': '40/hour burst 40' })
    expect(await answered(greedy, 120, 1)).toBe(40)
    expect(await answered(modest, 10, 1)).toBe(10)
  })
})
