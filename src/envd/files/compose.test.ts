import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startAgent, type TestAgent } from '../../../tests/support/agent.ts'
import { type EnvdServer, startEnvd } from '../../../tests/support/envd-server.ts'
import { frameBytes, startPeer } from '../../../tests/support/peer.ts'
import { frameType } from '../../guest/frames.ts'
import { exchange } from '../wire.fixture.ts'

let agent: TestAgent
let server: EnvdServer

beforeAll(async () => {
  agent = await startAgent()
  server = await startEnvd(agent.guest)
})

afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
  await agent?.[Symbol.asyncDispose]()
})

const at = (name: string) => join(agent.folder, name)

async function post(body: unknown, headers = {}, url = server.url): Promise<[number, unknown]> {
  const response = await exchange(`${url}/files/compose`, {
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body),
  })
  expect(response.headers['content-type']).toBe('application/json')
  return [response.status, JSON.parse(response.body.toString())]
}

describe('POST /files/compose', () => {
  it('joins files in order, and they are gone then', async () => {
    for (const [name, text] of [
      ['1', 'one '],
      ['2', 'two '],
      ['3', 'three'],
    ] as const) {
      await writeFile(at(name), text)
    }
    const request = { source_paths: [at('1'), at('2'), at('3')], destination: at('whole/ä.txt') }
    expect(await post(request)).toEqual([200, { name: 'ä.txt', path: at('whole/ä.txt'), type: 'file' }])
    expect(await readFile(at('whole/ä.txt'), 'utf8')).toBe('one two three')
    expect((await stat(at('whole/ä.txt'))).mode & 0o777).toBe(0o644)
    await expect(stat(at('1'))).rejects.toThrow('ENOENT')
  })

  it('resolves for the user it is told, and takes compressed bodies', async () => {
    await writeFile(at('root'), 'x')
    const request = { source_paths: [at('root')], destination: at('by-root'), username: 'root' }
    const zipped = gzipSync(JSON.stringify(request))
    expect((await post(zipped, { 'content-encoding': 'gzip' }))[0]).toBe(200)
    expect(await post({ ...request, username: 'nobody-here' })).toEqual([
      401,
      { code: 401, message: "invalid username: 'nobody-here'" },
    ])
  })

  it('leaves everything as it was when a file is missing or none', async () => {
    await mkdir(at('dir'), { recursive: true })
    await writeFile(at('kept'), 'kept')
    await writeFile(at('destination'), 'old')
    const missing = { source_paths: [at('kept'), at('missing')], destination: at('destination') }
    expect(await post(missing)).toEqual([404, { code: 404, message: expect.stringContaining(at('missing')) }])
    const directory = { source_paths: [at('kept'), at('dir')], destination: at('destination') }
    expect((await post(directory))[0]).toBe(400)
    expect(await readFile(at('kept'), 'utf8')).toBe('kept')
    expect(await readFile(at('destination'), 'utf8')).toBe('old')
  })

  it.each([
    ['no JSON', '{'],
    ['nothing', ''],
    ['null', 'null'],
    ['an array', '[]'],
    ['no sources', { destination: '/a' }],
    ['an empty list', { source_paths: [], destination: '/a' }],
    ['too many sources', { source_paths: Array(1001).fill('/a'), destination: '/b' }],
    ['a source that is none', { source_paths: ['/a', 5], destination: '/b' }],
    ['an empty source', { source_paths: [''], destination: '/b' }],
    ['no destination', { source_paths: ['/a'] }],
    ['a user that is none', { source_paths: ['/a'], destination: '/b', username: 5 }],
    ['too much', ' '.repeat(5_000_000)],
  ])('refuses %s', async (_, body) => {
    expect(await post(body)).toEqual([400, { code: 400, message: expect.stringMatching(/\.$/) }])
  })

  it('needs the token', async () => {
    await using secured = await startEnvd(agent.guest, { accessToken: 'token' })
    const request = { source_paths: [at('a')], destination: at('b') }
    expect((await post(request, {}, secured.url))[0]).toBe(401)
    expect((await post(request, { 'x-access-token': 'token' }, secured.url))[0]).toBe(404)
  })

  it('is 507 when the disk is full', async () => {
    const full = { code: 'resource_exhausted', message: 'No space left on device.', errno: 'ENOSPC' }
    await using peer = await startPeer((socket) => socket.end(frameBytes(frameType.error, full)))
    await using other = await startEnvd(peer.guest)
    const request = { source_paths: ['/a'], destination: '/b' }
    expect(await post(request, {}, other.url)).toEqual([507, { code: 507, message: full.message }])
  })
})
