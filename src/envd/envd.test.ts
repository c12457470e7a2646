import { writeFile } from 'node:fs/promises'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startAgent, type TestAgent } from '../../tests/support/agent.ts'
import { type EnvdServer, startEnvd } from '../../tests/support/envd-server.ts'
import { frameBytes, startPeer } from '../../tests/support/peer.ts'
import { sign } from '../auth/signature.ts'
import { frameType } from '../guest/frames.ts'
import { silentLog } from '../lib/log.ts'

const token = '0tQG31xiMp0IOQfaz9dcwi72L1CPo8e0'
const withToken = { 'x-access-token': token }

let agent: TestAgent
let open: EnvdServer
let secured: EnvdServer

beforeAll(async () => {
  agent = await startAgent()
  open = await startEnvd(agent.guest, { envVars: { A: '1' } })
  secured = await startEnvd(agent.guest, { accessToken: token })
})

afterAll(async () => {
  await open?.[Symbol.asyncDispose]()
  await secured?.[Symbol.asyncDispose]()
  await agent?.[Symbol.asyncDispose]()
})

async function bodyOf(response: Response): Promise<[number, unknown]> {
  expect(response.headers.get('content-type')).toBe('application/json')
  return [response.status, await response.json()]
}

describe('the routes', () => {
  it('answer about the sandbox', async () => {
    expect((await fetch(`${open.url}/health`)).status).toBe(204)
    expect(await bodyOf(await fetch(`${open.url}/envs`))).toEqual([200, { A: '1' }])
    const [status, metrics] = await bodyOf(await fetch(`${open.url}/metrics`))
    expect(status).toBe(200)
    expect(Object.keys(metrics as object).sort()).toEqual([
      'cpu_count',
      'cpu_used_pct',
      'disk_total',
      'disk_used',
      'mem_cache',
      'mem_total',
      'mem_total_mib',
      'mem_used',
      'mem_used_mib',
      'ts',
    ])
    expect((metrics as { ts: number }).ts).toBeCloseTo(Date.now() / 1000, -2)
  })

  it.each([
    ['GET', '/', 404],
    ['GET', '/process.Process/Nothing', 404],
    ['POST', '/health', 405],
    ['DELETE', '/envs', 405],
    ['DELETE', '/files', 405],
    ['GET', '/process.Process/List', 405],
    ['POST', '/process.Process/List', 415],
    ['GET', '/files/compose', 405],
    ['POST', '/process.Process/Start', 415],
    ['GET', '/filesystem.Filesystem/WatchDir', 405],
  ])('answer %s %s with a %i that says so in JSON', async (method, path, status) => {
    const [answered, body] = await bodyOf(await fetch(`${open.url}${path}`, { method }))
    expect(answered).toBe(status)
    expect(body).toEqual({ code: status, message: expect.stringMatching(/\.$/) })
  })

  it('tell clients nothing of causes, and the log everything', async () => {
    await using peer = await startPeer((socket) =>
      socket.end(frameBytes(frameType.reply, { cpuCount: 'many' })),
    )
    const logged: unknown[] = []
    const log = { ...silentLog, warn: (fields: object) => void logged.push(fields) }
    await using other = await startEnvd(peer.guest, {}, log)
    const [status, body] = await bodyOf(await fetch(`${other.url}/metrics`))
    expect([status, JSON.stringify(body)]).toEqual([500, expect.not.stringContaining('timestampMs')])
    expect(logged).toEqual([{ sandboxId: 'itest', violation: expect.stringContaining('timestampMs') }])
  })

  it.each(['a b', '49983-itest.127.0.0.1', '[', 'x:99999'])('serve an RPC for the host %s', async (host) => {
    const [{ hostname, port }, path] = [new URL(open.url), '/process.Process/List']
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const headers = { host, 'content-type': 'application/json' }
      httpRequest({ hostname, port, path, method: 'POST', headers }, resolve).on('error', reject).end('{}')
    })
    expect([response.statusCode, await json(response)]).toEqual([200, {}])
  })
})

describe('the token', () => {
  const unauthorized = {
    code: 401,
    message: 'unauthorized access, please provide a valid access token or method signing if supported',
  }

  it.each(['/envs', '/metrics', '/process.Process/List', '/files/compose', '/nothing'])(
    'is needed for %s',
    async (path) => {
      expect(await bodyOf(await fetch(`${secured.url}${path}`))).toEqual([401, unauthorized])
      const headers = { 'x-access-token': `${token}x` }
      expect(await bodyOf(await fetch(`${secured.url}${path}`, { headers }))).toEqual([401, unauthorized])
    },
  )

  it('is not needed for /health, and admits whoever has it', async () => {
    expect((await fetch(`${secured.url}/health`)).status).toBe(204)
    expect((await fetch(`${secured.url}/envs`, { headers: withToken })).status).toBe(200)
    const list = await fetch(`${secured.url}/process.Process/List`, {
      method: 'POST',
      body: '{}',
      headers: { ...withToken, 'content-type': 'application/json' },
    })
    expect([list.status, await list.json()]).toEqual([200, {}])
  })
})

describe('signed URLs', () => {
  const now = () => Math.floor(Date.now() / 1000)

  function fetchFile(query: Record<string, string>, headers: Record<string, string> = {}, method = 'GET') {
    return fetch(`${secured.url}/files?${new URLSearchParams(query)}`, { headers, method })
  }

  async function messageOf(response: Response): Promise<string> {
    const [status, body] = await bodyOf(response)
    expect(status).toBe(401)
    return (body as { message: string }).message
  }

  it('admit to what they are for', async () => {
    const path = join(agent.folder, 'signed ä.txt')
    await writeFile(path, 'signed')
    const signature = sign({ path, operation: 'read', username: '' }, token)
    expect(await (await fetchFile({ path, signature })).text()).toBe('signed')
    const expiration = now() + 60
    const limited = {
      path,
      username: 'root',
      signature_expiration: String(expiration),
      signature: sign({ path, operation: 'read', username: 'root', expiration }, token),
    }
    expect(await (await fetchFile(limited)).text()).toBe('signed')
    expect(await messageOf(await fetchFile({ ...limited, username: '' }))).toBe('invalid signature')
    expect(await messageOf(await fetchFile(limited, {}, 'POST'))).toBe('invalid signature')
    expect(await (await fetchFile({ path }, withToken)).text()).toBe('signed')
  })

  it('are refused in the order clients rely on', async () => {
    const path = 'hello.txt'
    const expiration = now() - 10
    const expired = {
      path,
      signature_expiration: String(expiration),
      signature: sign({ path, operation: 'read', username: '', expiration }, token),
    }
    const wrongToken = { 'x-access-token': 'wrong' }
    expect(await messageOf(await fetchFile(expired, wrongToken))).toBe(
      'access token present in header but does not match',
    )
    expect(await messageOf(await fetchFile({ path }))).toBe('missing signature query parameter')
    expect(await messageOf(await fetchFile({ ...expired, signature: 'v1_x' }))).toBe('invalid signature')
    expect(await bodyOf(await fetchFile(expired))).toEqual([
      401,
      { code: 401, message: 'signature is already expired' },
    ])
    const odd = await bodyOf(await fetchFile({ ...expired, signature_expiration: 'x' }))
    expect(odd[0]).toBe(400)
  })

  it('mean nothing where no token is asked for', async () => {
    const path = join(agent.folder, 'open.txt')
    await writeFile(path, 'x')
    const response = await fetch(`${open.url}/files?${new URLSearchParams({ path, signature: 'v1_x' })}`)
    expect(await response.text()).toBe('x')
  })
})

describe('scripts of other origins', () => {
  it('are allowed to ask for anything', async () => {
    const response = await fetch(`${secured.url}/process.Process/Start`, {
      method: 'OPTIONS',
      headers: {
        origin: 'https://example.com',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,x-access-token',
      },
    })
    expect(response.status).toBe(204)
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'access-control-allow-origin': '*',
      'access-control-allow-headers': 'authorization,x-access-token',
      'access-control-allow-methods': 'GET, HEAD, POST, PUT, PATCH, DELETE',
      'access-control-max-age': '7200',
    })
  })

  it('may read the answers, errors included', async () => {
    const response = await fetch(`${secured.url}/envs`, { headers: { origin: 'https://example.com' } })
    expect(response.status).toBe(401)
    expect(response.headers.get('access-control-allow-origin')).toBe('*')
    expect(response.headers.get('access-control-expose-headers')).toContain('Content-Disposition')
  })
})
