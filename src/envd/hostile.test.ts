/**
 * Few bytes that would become gigabytes, from clients and from an agent, against an envd that has hardly any memory: it
 * refuses them and lives.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { request } from 'node:http'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { EnvdProcessStart } from '../../tests/support/envd-process.ts'
import { encodeEnvelope } from './rpc/envelope.ts'
import { exchange, splitEnvelopes } from './wire.fixture.ts'

const program = fileURLToPath(new URL('../../tests/support/envd-process.ts', import.meta.url))
const MiB = 1024 * 1024
/** How many are sent at once */
const volley = 4

const children: ChildProcess[] = []

async function startSmall(...args: string[]): Promise<{ url: string; child: ChildProcess }> {
  const child = fork(program, args, { execArgv: ['--max-old-space-size=96', '--import', 'tsx'] })
  children.push(child)
  const [{ url }] = (await once(child, 'message')) as [EnvdProcessStart]
  return { url, child }
}

afterAll(async () => {
  for (const child of children) {
    if (child.connected) child.disconnect()
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }
})

async function expectAlive(url: string): Promise<void> {
  expect((await exchange(`${url}/health`, { method: 'GET' })).status).toBe(204)
}

describe('a client', () => {
  let url: string
  beforeAll(async () => {
    ;({ url } = await startSmall())
  })

  const filled = (part: string | number[], bytes: number) => Buffer.alloc(bytes, Buffer.from(part as string))
  const json = (head: string, part: string, tail: string, bytes = 2 * MiB) =>
    Buffer.concat([Buffer.from(head), filled(part, bytes - (bytes % part.length)), Buffer.from(tail)])
  /** A message within field `number` of another */
  const within = (number: number, message: Buffer) => {
    const length = [0, 7, 14, 21].map((shift) => ((message.length >> shift) & 0x7f) | (shift < 21 ? 0x80 : 0))
    return Buffer.concat([Buffer.from([(number << 3) | 2, ...length]), message])
  }

  const starts: [what: string, codec: 'json' | 'proto', message: Buffer, code: string][] = [
    ['unknown fields', 'proto', filled([0x78, 0], 2 * MiB), 'invalid_argument'],
    ['more unknown fields', 'proto', filled([0x78, 0], 16 * MiB), 'resource_exhausted'],
    ['unknown fields in a message', 'proto', within(1, filled([0x78, 0], 2 * MiB)), 'invalid_argument'],
    ['empty arguments', 'proto', within(1, filled([0x12, 0], 2 * MiB)), 'invalid_argument'],
    ['empty variables', 'proto', within(1, filled([0x1a, 0], 2 * MiB)), 'invalid_argument'],
    ['groups', 'proto', filled([0x0b], 2 * MiB), 'invalid_argument'],
    ['objects', 'json', json('{"x":[', '{},', '{}]}'), 'invalid_argument'],
    ['arrays in arrays', 'json', json('{"x":[', '[', ']}'), 'invalid_argument'],
    ['empty arguments in JSON', 'json', json('{"process":{"args":[', '"",', '""]}}'), 'invalid_argument'],
  ]
  it.each(starts)('can not start a process with %s', async (_, codec, message, code) => {
    const requests = Array.from({ length: volley }, () =>
      exchange(`${url}/process.Process/Start`, {
        headers: {
          'content-type': `application/connect+${codec}`,
          'connect-content-encoding': 'gzip',
        },
        body: encodeEnvelope(1, gzipSync(message)),
      }),
    )
    for (const { body } of await Promise.all(requests)) {
      const [envelope] = splitEnvelopes(body)
      expect(JSON.parse(envelope?.[1].toString() ?? '')).toMatchObject({ error: { code } })
    }
    await expectAlive(url)
  })

  const unaries: [what: string, method: string, codec: 'json' | 'proto', message: Buffer, status: number][] =
    [
      ['unknown fields', 'process.Process/SendInput', 'proto', filled([0x78, 0], 16 * MiB - 2), 400],
      ['objects', 'process.Process/SendInput', 'json', json('{"x":[', '{},', '{}]}', 15 * MiB), 400],
      ['unknown fields', 'filesystem.Filesystem/Stat', 'proto', filled([0x78, 0], MiB), 429],
      ['objects', 'process.Process/List', 'json', json('{"x":[', '{},', '{}]}', MiB), 429],
      ['objects', 'files/compose', 'json', json('{"source_paths":[', '{},', '{}]}', 4 * MiB - 1000), 400],
    ]
  it.each(unaries)('can not send %s to %s', async (_, method, codec, message, status) => {
    const requests = Array.from({ length: volley }, () =>
      exchange(`${url}/${method}`, {
        headers: { 'content-type': `application/${codec}`, 'content-encoding': 'gzip' },
        body: gzipSync(message),
      }),
    )
    // Those that find no room are told so.
    for (const response of await Promise.all(requests)) expect([status, 429]).toContain(response.status)
    await expectAlive(url)
  })

  it('is refused what would take more than its share of the memory, for as long as it does', {
    timeout: 90_000,
  }, async () => {
    const { hostname, port } = new URL(url)
    const path = '/process.Process/SendInput'
    const headers = { 'content-type': 'application/proto' }
    const unfinished = Array.from({ length: 4 }, () => {
      const length = { 'content-length': 16 * MiB }
      const req = request({ hostname, port, path, method: 'POST', headers: { ...headers, ...length } })
      req.on('error', () => {})
      req.write(Buffer.alloc(15 * MiB))
      return req
    })
    const oneMore = () => exchange(`${url}${path}`, { headers, body: within(9, Buffer.alloc(8 * MiB)) })
    const statusOf = async () => (await oneMore()).status
    await expect.poll(statusOf, { timeout: 30_000 }).toBe(429)
    expect((await oneMore()).headers['retry-after']).toBe('1')
    for (const req of unfinished) req.destroy()
    await expect.poll(statusOf, { timeout: 30_000 }).toBe(400)
  })
})

describe('an agent', () => {
  let url: string
  beforeAll(async () => {
    ;({ url } = await startSmall('impostor'))
  })

  it.each([
    ['filesystem.Filesystem/ListDir', { path: '/objects' }],
    ['filesystem.Filesystem/ListDir', { path: '/ignored' }],
    ['filesystem.Filesystem/ListDir', { path: '/fields' }],
    ['filesystem.Filesystem/ListDir', { path: '/metadata' }],
    ['filesystem.Filesystem/ListDir', { path: '/deep' }],
    ['filesystem.Filesystem/ListDir', { path: '/strings' }],
    ['process.Process/List', {}],
    ['filesystem.Filesystem/GetWatcherEvents', { watcherId: 'x' }],
    ['filesystem.Filesystem/Stat', { path: '/x' }],
  ])('can not answer %s of %j with as much as fits', async (method, message) => {
    const requests = Array.from({ length: volley }, () =>
      exchange(`${url}/${method}`, {
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(message),
      }),
    )
    for (const { status, body } of await Promise.all(requests)) {
      expect([status, JSON.parse(body.toString())]).toMatchObject([500, { code: 'internal' }])
    }
    await expectAlive(url)
  })

  it('can not report events like that, or metrics', async () => {
    const response = await exchange(`${url}/filesystem.Filesystem/WatchDir`, {
      headers: { 'content-type': 'application/connect+json' },
      body: encodeEnvelope(0, '{"path":"/x"}'),
    })
    const end = splitEnvelopes(response.body).at(-1)
    expect(JSON.parse(end?.[1].toString() ?? '')).toMatchObject({ error: { code: 'internal' } })
    expect((await exchange(`${url}/metrics`, { method: 'GET' })).status).toBe(500)
    await expectAlive(url)
  })
})
