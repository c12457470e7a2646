/** What sandboxes reach, and what reaches them: over TCP, UDP and ICMP, as root and as the stock user. */
import { execFile } from 'node:child_process'
import { createConnection } from 'node:net'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { baseImageName, buildBaseImage } from '../../../images/base/build.mjs'
import type { GuestHandle, Runtime } from '../../domain/runtime.ts'
import { silentLog } from '../../lib/log.ts'
import { lackingChains } from '../../network/nft.ts'
import { boundsFor, instanceRules } from '../../network/rules.ts'
import { guestOf, guestSpec, run } from '../tools.suite.ts'
import { hostAddress, hostServer, neighbour, probe, reached, unreached } from './egress.fixture.ts'
import { createEngine } from './engine.ts'
import { createEngineHost } from './engine-host.ts'
import { createFirewall, tableName } from './firewall.ts'
import { createInstanceNetwork } from './network.ts'
import { container, docker, patience, server } from './runtime.fixture.ts'

const image = await baseImageName()
const isRoot = process.getuid?.() === 0
const execute = promisify(execFile)
const some = () => 1 + Math.floor(Math.random() * 250)

const table = async (instanceId: string) =>
  execute('nft', ['list', 'table', 'inet', tableName(instanceId)]).then(
    ({ stdout }) => stdout,
    () => undefined,
  )

beforeAll(() => buildBaseImage({ log: () => {} }), 15 * 60_000)

describe.runIf(isRoot)('sandboxes', () => {
  const closedOnes = [
    `169.254.${some()}.${some()}`,
    `10.${some()}.${some()}.${some()}`,
    `100.64.${some()}.${some()}`,
  ]
  const lan = `192.168.${some()}.${some()}`
  const open = `203.0.113.${some()}`
  let next: Awaited<ReturnType<typeof neighbour>>
  let host: Awaited<ReturnType<typeof hostServer>>
  let one: Awaited<ReturnType<typeof server>>
  let runtime: Runtime
  let handle: GuestHandle

  const inside = async (command: string, of = handle, from = runtime) =>
    (await run(guestOf(from, of), command)).stdout
  const gateway = () => inside("ip route | awk '/default/ {printf $3}'")
  const addressOf = async (of: GuestHandle) =>
    Object.values((await container(of).inspect()).NetworkSettings.Networks)[0]?.IPAddress ?? ''

  beforeAll(async () => {
    next = await neighbour([...closedOnes, lan, open])
    host = await hostServer()
    one = await server({ egress: { open: false, allow: [`${lan}/32`] } })
    runtime = one.create()
    handle = await runtime.start(guestSpec(image), patience())
  }, 60_000)
  afterAll(async () => {
    await runtime.close()
    await one.dispose()
    host[Symbol.dispose]()
    await next[Symbol.asyncDispose]()
  })

  test('reach the open internet and what the operator has opened', async () => {
    expect(await inside(probe(open, next.port))).toBe(reached)
    expect(await inside(probe(lan, next.port))).toBe(reached)
    expect(await inside(probe(open, next.port, 'user'))).toBe(reached)
  })

  test.each(closedOnes)('do not reach %s', async (address) => {
    expect(await inside(probe(address, next.port))).toBe(unreached)
    expect(await inside(probe(address, next.port, 'user'))).toBe(unreached)
  })

  test('do not reach this machine by any of its addresses', async () => {
    const addresses = [await gateway(), '172.17.0.1', hostAddress()].filter((each) => each !== undefined)
    for (const address of addresses) {
      expect(await inside(probe(address, host.port))).toBe(unreached)
      expect(await inside(probe(address, host.port, 'user'))).toBe(unreached)
    }
  })

  test('do not reach each other', async () => {
    const other = await runtime.start(guestSpec(image), patience())
    const address = await addressOf(other)
    await inside('python3 -m http.server 8080 >/dev/null 2>&1 &', other)
    await inside('until curl -s -o /dev/null http://127.0.0.1:8080/; do sleep 0.05; done', other)
    expect(await inside(probe(address, 8080))).toBe(unreached)
    // Nor does anybody else reach it, but for who goes through the server.
    expect(await connects(address, 8080)).toBe(false)
    expect(await next.visit(address, 8080)).not.toBe('here')
    await runtime.destroy(other, patience())
  })

  test('resolve names', async () => {
    // Whether there is such a name or not: an answer is one. Without one, it is "try again".
    const ask =
      'python3 -c "import socket\ntry: socket.getaddrinfo(\'name.invalid\', 80)\nexcept socket.gaierror as e: print(e.errno == socket.EAI_NONAME)"'
    expect(await inside(ask)).toBe('True\n')
  })

  test.each([
    ['all', (name: string) => ['delete', 'table', 'inet', name]],
    ['some', (name: string) => ['flush', 'chain', 'inet', name, 'to_host']],
  ])('have rules as long as their network, made anew by whoever comes later: %s', async (_what, remove) => {
    const isWhole = async () => (await table(one.instanceId))?.split('jump bounded').length === 3
    expect(await isWhole()).toBe(true)
    await execute('nft', remove(tableName(one.instanceId)))
    expect(await isWhole()).toBe(false)
    // As after kill -9: another server's process finds the network.
    const later = one.create()
    const watching = new AbortController()
    later.watch(() => {}, watching.signal)
    await expect.poll(isWhole, { timeout: 20_000 }).toBe(true)
    watching.abort()
    await later.close()
    expect(await isWhole()).toBe(true)
  })

  test('have rules of which it is known what the kernel lacks', async () => {
    const name = tableName(one.instanceId)
    const any = { subnet: '0.0.0.0/0', resolvers: [], allow: [], agentPort: 1, bounds: boundsFor(0) }
    const text = instanceRules({ table: name, bridge: 'any', ...any })
    expect(await lackingChains(name, text)).toEqual([])
    await execute('nft', ['flush', 'chain', 'inet', name, 'output'])
    expect(await lackingChains(name, text)).toEqual(['output'])
    await execute('nft', ['delete', 'table', 'inet', name])
    expect(await lackingChains(name, text)).toHaveLength(8)
  })
})

describe.runIf(isRoot)('a server', () => {
  test('removes the rules with the network, also those of a network that somebody removed', async () => {
    const one = await server()
    const runtime = one.create()
    const handle = await runtime.start(guestSpec(image), patience())
    expect(await table(one.instanceId)).toBeDefined()
    await runtime.destroy(handle, patience())
    const filters = { name: [tableName(one.instanceId).replace('_', '-')] }
    const [network] = await docker.listNetworks({ filters })
    await docker.getNetwork(network!.Id).remove()
    const later = one.create()
    const watching = new AbortController()
    later.watch(() => {}, watching.signal)
    await expect.poll(() => table(one.instanceId), { timeout: 20_000 }).toBeUndefined()
    watching.abort()
    const again = await later.start(guestSpec(image), patience())
    expect(await table(one.instanceId)).toBeDefined()
    await later.destroy(again, patience())
    await later.close()
    expect(await table(one.instanceId)).toBeUndefined()
    await runtime.close()
    await one.dispose()
  })

  test('goes on with a new network where somebody removed the one it knew', async () => {
    const one = await server()
    const engine = createEngine({ socketPath: '/var/run/docker.sock', log: silentLog })
    const closed = { open: false, allow: [] } as const
    const firewall = createFirewall(one.instanceId, closed, createEngineHost(engine))
    const network = createInstanceNetwork(engine, one.instanceId, firewall)
    await network.ensure(patience())
    const before = await table(one.instanceId)
    await docker.getNetwork(network.name).remove()
    // Its rules count as unknown, as they do after a while.
    await firewall.release()
    await Promise.all([1, 2, 3].map(() => network.ensure(patience())))
    expect(await table(one.instanceId)).toContain('chain forward')
    expect(await table(one.instanceId)).not.toBe(before)
    await network.release()
    engine.close()
    await one.dispose()
  })

  test('with open egress has no rules, and its sandboxes reach what it does', async () => {
    const address = `10.${some()}.${some()}.${some()}`
    await using next = await neighbour([address])
    using host = await hostServer()
    const one = await server({ egress: { open: true } })
    const runtime = one.create()
    const handle = await runtime.start(guestSpec(image), patience())
    expect(await table(one.instanceId)).toBeUndefined()
    const inside = async (command: string) => (await run(guestOf(runtime, handle), command)).stdout
    expect(await inside(probe(address, next.port))).toBe(reached)
    const gateway = await inside("ip route | awk '/default/ {printf $3}'")
    expect(await inside(probe(gateway, host.port))).toBe(reached)
    await runtime.close()
    await one.dispose()
  })
})

function connects(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host, port, timeout: 2000 })
    const settle = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.on('connect', () => settle(true))
    socket.on('error', () => settle(false))
    socket.on('timeout', () => settle(false))
  })
}
