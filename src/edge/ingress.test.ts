import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { testCertificate } from '../../tests/support/certificate.ts'
import { closed, type EdgeFixture, readUntil, startEdge } from './edge.fixture.ts'

let edge: EdgeFixture
afterEach(() => edge[Symbol.asyncDispose]())

describe('a traffic token', () => {
  let port: number
  let arrived: IncomingMessage['headers'] | undefined
  beforeEach(async () => {
    edge = await startEdge()
    edge.addSandbox('iclosed', undefined, { trafficAccessToken: 'secret' })
    arrived = undefined
    port = await edge.serve((req, res) => {
      arrived = req.headers
      res.end('inside')
    })
  })

  const refusal = (lack: string) => ({
    sandboxId: 'iclosed',
    message: `Sandbox is secured with traffic access token. ${lack}`,
    code: 403,
  })
  const missing = refusal("Token header 'e2b-traffic-access-token' is missing")
  const invalid = refusal("Provided token in header 'e2b-traffic-access-token' is invalid")

  test.each([
    [{}, missing],
    [{ 'e2b-traffic-access-token': '' }, missing],
    [{ 'e2b-traffic-access-token': 'Secret' }, invalid],
    [{ 'e2b-traffic-access-token': `secret ${'x'.repeat(5000)}` }, invalid],
    [{ 'e2b-traffic-access-token': ['secret', 'secret'] }, invalid],
    [{ authorization: 'secret', 'x-access-token': 'secret' }, missing],
  ])('is asked for: %j', async (headers, body) => {
    const answer = await edge.send(port, { id: 'iclosed', headers: headers as Record<string, string> })
    expect(answer.status).toBe(403)
    expect(JSON.parse(answer.body)).toEqual(body)
    expect(arrived).toBeUndefined()
  })

  test('lets requests in and stays outside', async () => {
    const headers = { 'E2B-Traffic-Access-Token': 'secret' }
    expect(await edge.send(port, { id: 'iclosed', headers })).toMatchObject({ status: 200, body: 'inside' })
    expect(arrived).not.toHaveProperty('e2b-traffic-access-token')
  })

  test('is asked for by closed ports and for upgrades too', async () => {
    expect(await edge.send(1, { id: 'iclosed' })).toMatchObject({ status: 403 })
    const socket = edge.connect()
    socket.write(
      `GET / HTTP/1.1\r\nHost: ${port}-iclosed.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    )
    expect(await readUntil(socket, /\}$/)).toMatch(/^HTTP\/1.1 403 Forbidden[\s\S]*is missing/)
  })

  test('is never asked for by envd', async () => {
    expect(await edge.send(49_983, { id: 'iclosed' })).toMatchObject({ status: 200, body: 'envd' })
  })
})

describe('a masked host', () => {
  beforeEach(async () => {
    edge = await startEdge()
    edge.addSandbox('imasked', (req, res) => void res.end(req.headers.host), {
      maskRequestHost: `localhost:${'$'}{PORT}`,
    })
  })

  test('is what the server inside is told; the asked-for one is beside it, whatever the client says', async () => {
    const port = await edge.serve((req, res) => {
      res.end(JSON.stringify([req.headers.host, req.headers['x-forwarded-host']]))
    })
    const host = `${port}-imasked.localhost:1234`
    const answer = await edge.send(port, {
      id: 'isandbox',
      headers: { host, 'x-forwarded-host': 'elsewhere.example' },
    })
    expect(JSON.parse(answer.body)).toEqual([`localhost:${port}`, host])
  })

  test('is not for envd', async () => {
    const answer = await edge.send(49_983, { headers: { host: '49983-imasked.localhost' } })
    expect(answer.body).toBe('49983-imasked.localhost')
  })
})

describe('a port with TLS', () => {
  test('is spoken to in TLS, with a certificate that nobody checks', async () => {
    edge = await startEdge()
    const inside = createHttpsServer(await testCertificate('nobody.example'), (req, res) => {
      req.pipe(
        res.writeHead(200, { 'x-asked-for': String((req.socket as { servername?: string }).servername) }),
      )
    })
    await once(inside.listen(0, '127.0.0.1'), 'listening')
    const { port } = inside.address() as AddressInfo
    const sandbox = edge.addSandbox('isecure', undefined, { httpsPorts: [port] })
    const host = `${port}-isecure.localhost`
    for (const body of ['one', 'two']) {
      const answer = await edge.send(port, { method: 'POST', headers: { host }, body })
      expect(answer).toMatchObject({ status: 200, body, headers: { 'x-asked-for': host } })
    }
    for (const _ of [1, 2])
      expect(await edge.send(port, { headers: { host } })).toMatchObject({ status: 200 })
    expect(sandbox.dialCount).toBe(3)
    inside.close()
    sandbox.go()
    await expect.poll(() => sandbox.dialed.size).toBe(0)
  })

  test('that doesn’t speak TLS is a failure of its own', async () => {
    edge = await startEdge()
    const port = await edge.serve((_req, res) => res.end())
    const silent = await edge.serveRaw((socket) => socket.end())
    edge.addSandbox('iplain', undefined, { httpsPorts: [port, silent] })
    for (const each of [port, silent]) {
      expect(await edge.send(each, { id: 'iplain' })).toMatchObject({
        status: 502,
        body: expect.stringContaining('without a valid HTTP answer'),
      })
    }
  })
})

test('connections of all sandboxes together have a bound', async () => {
  edge = await startEdge('stream', { limits: { maxAllConnections: 2 } })
  edge.addSandbox('iother')
  const port = await edge.serve((_req, res) => void res.write('begun'))
  const open = await Promise.all(
    ['isandbox', 'iother'].map(async (id) => {
      const sent = request(edge.to(port, { id })).on('error', () => {})
      const [res] = (await once(sent.end(), 'response')) as [IncomingMessage]
      res.on('error', () => {})
      await readUntil(res, /begun/)
      return sent
    }),
  )
  const refused = await edge.send(49_983, { id: 'iother' })
  expect(refused).toMatchObject({ status: 503, headers: { 'retry-after': '1' } })
  const left = closed(open[0]!)
  open[0]!.destroy()
  await left
  await expect.poll(async () => (await edge.send(49_983)).status).toBe(200)
  for (const sent of open) sent.destroy()
})

test('connections of a sandbox are counted, those of others aren’t', async () => {
  edge = await startEdge('stream', { limits: { maxConnections: 3 } })
  edge.addSandbox('iother')
  const port = await edge.serve((_req, res) => void res.write('begun'))
  const open = await Promise.all(
    [1, 2, 3].map(async () => {
      const sent = request(edge.to(port)).on('error', () => {})
      const [res] = (await once(sent.end(), 'response')) as [IncomingMessage]
      res.on('error', () => {})
      await readUntil(res, /begun/)
      return sent
    }),
  )
  const refused = await edge.send(port)
  expect(refused.status).toBe(429)
  expect(JSON.parse(refused.body)).toMatchObject({ sandboxId: 'isandbox', port, code: 429 })
  expect(await edge.send(49_983)).toMatchObject({ status: 429 })
  expect(await edge.send(49_983, { id: 'iother' })).toMatchObject({ status: 200 })
  const left = closed(open[0]!)
  open[0]!.destroy()
  await left
  await expect.poll(async () => (await edge.send(49_983)).status).toBe(200)
  for (const sent of open) sent.destroy()
})

describe('errors', () => {
  const browser = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36'
  beforeEach(async () => {
    edge = await startEdge()
  })

  test.each([
    [{ 'user-agent': browser }, true],
    [{ 'user-agent': browser, accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }, true],
    [{ 'user-agent': browser, accept: '*/*' }, true],
    [{ 'user-agent': 'curl/8.0', accept: 'text/html' }, false],
    [{ 'sec-fetch-mode': 'navigate' }, true],
    [{ 'sec-fetch-mode': 'cors', 'user-agent': browser, accept: 'text/html' }, false],
    [{ 'user-agent': 'curl/8.0', accept: '*/*' }, false],
    [{ 'user-agent': 'e2b-js-sdk/2.51.0' }, false],
    [{}, false],
  ])('%j gets a page: %j', async (headers, isPage) => {
    const answer = await edge.send(49_983, { id: 'inone', headers: headers as Record<string, string> })
    expect(answer.status).toBe(502)
    if (!isPage) return expect(JSON.parse(answer.body).message).toBe('The sandbox was not found')
    expect(answer.headers['content-type']).toBe('text/html; charset=utf-8')
    expect(answer.body).toMatch(/^<html[\s\S]*Sandbox Not Found[\s\S]*<\/html>$/)
    expect(answer.headers['content-security-policy']).toContain("default-src 'none'")
  })

  test('a closed port has a page that names it', async () => {
    const answer = await edge.send(1, { headers: { 'sec-fetch-mode': 'navigate' } })
    expect(answer.status).toBe(502)
    expect(answer.body).toMatch(/^<html[\s\S]*no service running on port 1 [\s\S]*<\/html>$/)
  })
})
