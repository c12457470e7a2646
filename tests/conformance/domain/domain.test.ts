/** What only a domain of the server's own gives: names for everything, HTTPS and DNS. */
import { execFile } from 'node:child_process'
import { promises as dns } from 'node:dns'
import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { request } from 'node:https'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ownAddress, testDomain } from '../../support/mode.ts'
import { type Sandbox, sdks } from '../../support/sdks.ts'
import { startTestServer, type TestServer } from '../../support/server.ts'
import { startWebServer } from '../../support/web-server.ts'

const program = join(import.meta.dirname, '../../../scripts/e2b-server.mjs')

let server: TestServer
let sandbox: Sandbox
beforeAll(async () => {
  server = await startTestServer()
  sandbox = await sdks[0]!.sdk.Sandbox.create({ timeoutMs: 600_000 })
  await startWebServer(sandbox, 8000, 'inside')
})
afterAll(() => server[Symbol.asyncDispose]())

async function cli(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const where = args.includes('--state-dir') ? [] : ['--state-dir', server.stateDir]
  const run = promisify(execFile)(process.execPath, [program, ...args, ...where])
  return run.then(
    (out) => ({ code: 0, ...out }),
    ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
  )
}

test('getHost() is a name that opens as it is, in HTTP/1.1 and HTTP/2', async () => {
  const host = sandbox.getHost(8000)
  expect(host).toBe(`8000-${sandbox.sandboxId}.${testDomain}`)
  expect(await (await fetch(`https://${host}/`)).text()).toContain('<title>inside</title>')
  const session = connectHttp2(`https://${host}`)
  expect(await text(session.request({ ':path': '/who' }))).toBe('inside')
  session.close()
})

test('one connection of HTTP/2 serves the API and any sandbox that it names', async () => {
  const session = connectHttp2(`https://api.${testDomain}`)
  const ask = (authority: string, path: string) =>
    text(session.request({ ':authority': authority, ':path': path }))
  expect(await ask(`api.${testDomain}`, '/health')).toBe('Health check successful')
  expect(await ask(sandbox.getHost(8000), '/who')).toBe('inside')
  expect(await ask(`8000-inone.${testDomain}`, '/who')).toContain('was not found')
  session.close()
})

test('the SDKs’ signed URLs name their sandbox', async () => {
  const up = await sandbox.uploadUrl('signed.txt')
  expect(new URL(up).host).toBe(`49983-${sandbox.sandboxId}.${testDomain}`)
  const form = new FormData()
  form.append('file', new Blob(['signed']), 'signed.txt')
  expect((await fetch(up, { method: 'POST', body: form })).status).toBe(200)
  expect(await (await fetch(await sandbox.downloadUrl('signed.txt'))).text()).toBe('signed')
})

test('the answers of the API carry the domain', async () => {
  const answer = await fetch(`https://api.${testDomain}/sandboxes/${sandbox.sandboxId}`, {
    headers: { 'x-api-key': server.apiKey },
  })
  expect(await answer.json()).toMatchObject({ domain: testDomain })
})

test('the system’s resolver finds every name of the domain', async () => {
  for (const name of ['', 'api.', 'sandbox.', '1-i.', 'a.b.']) {
    expect(await dns.lookup(`${name}${testDomain}`)).toEqual({ address: ownAddress, family: 4 })
  }
})

test('env prints the two variables that programs need, and those that make them trust it', async () => {
  const authority = `${server.stateDir}/tls/${testDomain}`
  expect((await cli('env')).stdout.split('\n')).toEqual([
    `export E2B_API_KEY='${server.apiKey}'`,
    `export E2B_DOMAIN='${testDomain}'`,
    'unset E2B_API_URL',
    'unset E2B_SANDBOX_URL',
    `export NODE_EXTRA_CA_CERTS='${authority}/ca.pem'`,
    ...['SSL_CERT_FILE', 'REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE'].map(
      (name) => `export ${name}='${authority}/ca-bundle.pem'`,
    ),
    '',
  ])
  expect(server.output()).toContain(`${authority}/ca.pem`)
  expect(server.output()).toContain(`npx e2b-server domain on --state-dir ${server.stateDir}`)
})

test('doctor finds everything well', async () => {
  const { code, stdout } = await cli('doctor')
  expect(stdout).not.toContain('FAIL')
  expect(code).toBe(0)
})

describe('bad input', () => {
  const id = 'i0123456789abcdefghij'
  const shared = `sandbox.${testDomain}`

  async function ask(
    host: string,
    headers: Record<string, string> = {},
    servername: string | undefined = shared,
  ): Promise<{ status: number; body: { code: number; message: string } }> {
    const options = { host: shared, servername, rejectUnauthorized: servername !== '', agent: false }
    const sent = request({ ...options, path: '/x', headers: { host, ...headers } }).end()
    const [res] = await once(sent, 'response')
    return { status: res.statusCode, body: JSON.parse(await text(res)) }
  }

  test.each([
    [`0-${id}`, 400, /Invalid port/],
    [`65536-${id}`, 400, /Invalid port/],
    [`08-${id}`, 400, /Invalid port/],
    [`http-${id}`, 400, /Invalid port/],
    [`80-${'i'.repeat(200)}`, 400, /Invalid sandbox ID/],
    ['80-', 400, /Invalid sandbox ID/],
    ['80-i_x', 400, /Invalid sandbox ID/],
    [`80-${id.toUpperCase()}`, 502, /not found/],
    [`80-${id}-more-of-it`, 502, /not found/],
    [`80-${id}`, 502, /not found/],
  ])('the name %s.<domain>: %i', async (label, status, message) => {
    const { status: given, body } = await ask(`${label}.${testDomain}`)
    expect(given).toBe(status)
    expect(body).toMatchObject({ code: status, message: expect.stringMatching(message) })
  })

  test.each([
    [{ 'e2b-sandbox-id': id }, 400, /missing header E2b-Sandbox-Port/],
    [{ 'e2b-sandbox-port': '80' }, 400, /missing header E2b-Sandbox-Id/],
    [{ 'e2b-sandbox-id': id, 'e2b-sandbox-port': '0' }, 400, /Invalid port/],
    [{ 'e2b-sandbox-id': id, 'e2b-sandbox-port': '65536' }, 400, /Invalid port/],
    [{ 'e2b-sandbox-id': id, 'e2b-sandbox-port': 'http' }, 400, /Invalid port/],
    [{ 'e2b-sandbox-id': 'i-1', 'e2b-sandbox-port': '80' }, 400, /Invalid sandbox ID/],
    [{ 'e2b-sandbox-id': id.toUpperCase(), 'e2b-sandbox-port': '80' }, 400, /Invalid sandbox ID/],
    [{ 'e2b-sandbox-id': 'i'.repeat(200), 'e2b-sandbox-port': '80' }, 400, /Invalid sandbox ID/],
  ])('headers %j: %i', async (headers, status, message) => {
    const { status: given, body } = await ask(shared, headers as Record<string, string>)
    expect(given).toBe(status)
    expect(body).toMatchObject({ code: status, message: expect.stringMatching(message) })
  })

  test('TLS without SNI', async () => {
    const { status, body } = await ask(shared, {}, '')
    expect(status).toBe(421)
    expect(body.message).toContain(`use api.${testDomain}`)
  })

  test('a certificate that does not do is known before a start', async () => {
    const { stdout } = await cli(
      ...['doctor', '--domain', 'other.example', '--dns', '127.53.0.9:53'],
      ...['--tls-cert', join(server.stateDir, 'tls', testDomain, 'ca.pem')],
      ...['--tls-key', join(server.stateDir, 'tls', testDomain, 'ca-key.pem')],
      ...['--state-dir', join(server.stateDir, 'never-run')],
    )
    expect(stdout).toMatch(/^FAIL +certificate .*not for api\.other\.example/m)
    expect(stdout).toMatch(/^ok +DNS port \(UDP\) .*is free/m)
  })

  test('a certificate that does not do', async () => {
    const { stderr, code } = await cli(
      ...['start', '--port', '0', '--domain', 'other.example', '--debug-port', '0'],
      ...['--tls-cert', join(server.stateDir, 'tls', testDomain, 'ca.pem')],
      ...['--tls-key', join(server.stateDir, 'tls', testDomain, 'ca-key.pem')],
      ...['--state-dir', join(server.stateDir, 'other')],
    )
    expect(code).toBe(1)
    expect(stderr).toMatch(
      /^e2b-server: The certificate .* can't be used\. .*not for api\.other\.example.*\n$/,
    )
  })
})
