/** Closed sandboxes on the real engine: nothing gets out, over whatever protocol, and all that the server does goes on. */
import { randomInt } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { baseImageName, buildBaseImage } from '../../../images/base/build.mjs'
import { hostBinary } from '../../../tests/support/agent.ts'
import type { GuestHandle, Runtime } from '../../domain/runtime.ts'
import { hello } from '../../guest/hello.ts'
import { guestOf, guestSpec, run } from '../tools.suite.ts'
import { neighbour, probe, reached, unreached } from './egress.fixture.ts'
import { patience, server } from './runtime.fixture.ts'

const image = await baseImageName()
const isRoot = process.getuid?.() === 0

beforeAll(() => buildBaseImage({ log: () => {} }), 15 * 60_000)

/** Prints `True` for each way by which the engine takes questions about names, also for who goes around the usual port. */
const askNames = `python3 - <<'E'
import re, socket
question = b'\\x12\\x34\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\4name\\7invalid\\0\\0\\1\\0\\1'
def udp(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(2); s.connect(('127.0.0.11', port)); s.send(question); return s.recv(512)[:2] == question[:2]
def tcp(port):
    socket.create_connection(('127.0.0.11', port), 2).close(); return True
def listening(kind):
    return int(re.search('0B00007F:([0-9A-F]{4})', open('/proc/net/' + kind).read())[1], 16)
def resolver():
    try: socket.getaddrinfo('name.invalid', 80)
    except socket.gaierror as error: return error.errno == socket.EAI_NONAME
for ask in [resolver, lambda: udp(53), lambda: tcp(53), lambda: udp(listening('udp')), lambda: tcp(listening('tcp'))]:
    try: print(ask())
    except OSError: print(False)
E`

describe.runIf(isRoot)('a closed sandbox', () => {
  const open = `203.0.113.${randomInt(1, 250)}`
  let next: Awaited<ReturnType<typeof neighbour>>
  let one: Awaited<ReturnType<typeof server>>
  let runtime: Runtime

  const inside = async (handle: GuestHandle, command: string, from = runtime) =>
    (await run(guestOf(from, handle), command)).stdout
  const start = (egress: 'open' | 'closed', from = runtime) =>
    from.start(guestSpec(image, { egress }), patience())
  const reaches = async (handle: GuestHandle, from = runtime) => [
    await inside(handle, probe(open, next.port), from),
    await inside(handle, probe(open, next.port, 'user'), from),
  ]

  beforeAll(async () => {
    next = await neighbour([open])
    one = await server()
    runtime = one.create()
  }, 60_000)
  afterAll(async () => {
    await runtime.close()
    await one.dispose()
    await next[Symbol.asyncDispose]()
  })

  test('reaches nothing and resolves no names, but for its own loopback', async () => {
    const other = await start('open')
    const handle = await start('closed')
    expect(await reaches(handle)).toEqual([unreached, unreached])
    expect(await reaches(other)).toEqual([reached, reached])
    expect(await inside(other, askNames)).toBe('True\n'.repeat(5))
    expect(await inside(handle, askNames)).toBe('False\n'.repeat(5))
    await inside(handle, 'python3 -m http.server 8080 >/dev/null 2>&1 &')
    const visit = (host: string) =>
      `for i in $(seq 100); do curl -sf -o /dev/null http://${host}:8080/ && echo here && break; sleep 0.05; done`
    expect(await inside(handle, visit('127.0.0.1'))).toBe('here\n')
    expect(await inside(handle, visit('$(hostname -i)'))).toBe('here\n')
    for (const each of [handle, other]) await runtime.destroy(each, patience())
  })

  test('is closed and opened while it runs, connections that it has included', async () => {
    const handle = await start('open')
    // Says what it hears on two flows that it has, once for each line that it is told.
    const talker = `
import socket, sys
tcp = socket.create_connection(('${open}', ${next.talkPort}), 5)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.connect(('${open}', ${next.port}))
for sock in tcp, udp: sock.settimeout(2)
def turn(sock):
    try:
        sock.send(b'?'); return sock.recv(4)
    except OSError: return b''
while True:
    open('/tmp/ask').read()
    open('/tmp/told', 'w').write(' '.join(str(turn(sock) != b'') for sock in (tcp, udp)))`
    await inside(
      handle,
      `mkfifo /tmp/ask /tmp/told; echo ${Buffer.from(talker).toString('base64')} | base64 -d > /tmp/talker`,
    )
    await inside(handle, 'python3 /tmp/talker >/dev/null 2>&1 &')
    const talks = () => inside(handle, 'echo > /tmp/ask; cat /tmp/told')
    expect(await talks()).toBe('True True')
    await runtime.setEgress(handle, 'closed', patience())
    expect(await talks()).toBe('False False')
    expect(await reaches(handle)).toEqual([unreached, unreached])
    await runtime.setEgress(handle, 'closed', patience())
    await runtime.setEgress(handle, 'open', patience())
    expect(await reaches(handle)).toEqual([reached, reached])
    expect(await inside(handle, askNames)).toBe('True\n'.repeat(5))
    await runtime.destroy(handle, patience())
  })

  test.each([{ memory: true }, { memory: false }])(
    'is closed after a pause, also for a later server: %o',
    async (pause) => {
      const [first, second] = [await start('closed'), await start('open')]
      await runtime.pause(first, pause, patience())
      const kept = await runtime.resume(first, patience(), { egress: 'closed' })
      expect(await reaches(kept.handle)).toEqual([unreached, unreached])
      await runtime.pause(kept.handle, pause, patience())
      await runtime.pause(second, pause, patience())

      const later = one.create()
      for (const handle of [kept.handle, second]) {
        // The second was to be closed when the earlier server was killed.
        const resumed = await later.resume(handle, patience(), { egress: 'closed' })
        expect(await reaches(resumed.handle, later)).toEqual([unreached, unreached])
        await later.destroy(resumed.handle, patience())
      }
      await later.close()
    },
  )

  test('that runs is found by a later server, which makes of it what its record says', async () => {
    const [closed, open] = [await start('closed'), await start('open')]
    const later = one.create()
    expect(await reaches(closed, later)).toEqual([unreached, unreached])
    await later.setEgress(open, 'closed', patience())
    await later.setEgress(closed, 'open', patience())
    expect(await reaches(open, later)).toEqual([unreached, unreached])
    expect(await reaches(closed, later)).toEqual([reached, reached])
    for (const each of [closed, open]) await later.destroy(each, patience())
    await later.close()
  })

  test('answers over TCP too, where its agent has a port', async () => {
    const published = one.create({ transport: 'tcp' })
    const handle = await start('closed', published)
    expect((await hello(guestOf(published, handle), patience())).protocol).toBe(1)
    expect(await reaches(handle, published)).toEqual([unreached, unreached])
    expect(await inside(handle, askNames, published)).toBe('False\n'.repeat(5))
    await published.destroy(handle, patience())
    await published.close()
  })

  test('isn’t started, booted or left running where it can’t be closed', async () => {
    // A program that looks for nft in directories that aren't there.
    const otherBinary = join(one.stateDir, 'other-host')
    const path = '/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin'
    const bytes = await readFile(hostBinary, 'latin1')
    expect(bytes).toContain(path)
    const lost = bytes.replaceAll(path, path.replaceAll('bin', 'nib'))
    await writeFile(otherBinary, lost, { encoding: 'latin1', mode: 0o755 })
    const lacking = one.create({ hostBinary: otherBinary })
    const refusal = { code: 'failed_precondition', message: expect.stringContaining('egress rules') }
    await expect(start('closed', lacking)).rejects.toMatchObject(refusal)
    expect(await lacking.list(patience())).toEqual([])

    const handle = await start('open', lacking)
    expect(await reaches(handle, lacking)).toEqual([reached, reached])
    await expect(lacking.setEgress(handle, 'closed', patience())).rejects.toMatchObject(refusal)
    for (const memory of [true, false]) {
      await lacking.pause(handle, { memory }, patience())
      await expect(lacking.resume(handle, patience(), { egress: 'closed' })).rejects.toMatchObject(refusal)
      expect(await lacking.recover(handle, patience())).toBe(memory ? 'paused' : 'stopped')
    }
    await lacking.destroy(handle, patience())
    await lacking.close()
  })
})

describe.runIf(isRoot)('with open egress', () => {
  test('single sandboxes are closed all the same', async () => {
    const address = `10.${randomInt(1, 250)}.${randomInt(1, 250)}.${randomInt(1, 250)}`
    await using next = await neighbour([address])
    const one = await server({ egress: { open: true } })
    const runtime = one.create()
    for (const [egress, expected] of [
      ['closed', unreached],
      ['open', reached],
    ] as const) {
      const handle = await runtime.start(guestSpec(image, { egress }), patience())
      expect((await run(guestOf(runtime, handle), probe(address, next.port))).stdout).toBe(expected)
      await runtime.destroy(handle, patience())
    }
    await runtime.close()
    await one.dispose()
  })
})
