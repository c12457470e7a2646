/** Requests over HTTP/1.1 that name two receivers, none, or one in a strange way, and those without what they need. */
import { describe, expect, test } from 'vitest'
import { ask, routeTo } from './support/ask.ts'
import { attacked, recorderPort } from './support/attacked.ts'
import { sendRaw } from './support/raw.ts'

const { url, victim, victimKey, attacker } = attacked()
const { host } = new URL(url)
const token = `X-Access-Token: ${victim.token}`
const id = `E2b-Sandbox-Id: ${victim.id}`
const port = `E2b-Sandbox-Port: ${recorderPort}`
const envd = 'E2b-Sandbox-Port: 49983'

const get = (lines: string[], target = '/attempt') =>
  sendRaw(`GET ${target} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`)

describe('who a request is for', () => {
  test.each([
    ['two hosts', [`Host: ${host}`, `Host: ${recorderPort}-${victim.id}.localhost`, id, port]],
    ['the same host twice', [`Host: ${host}`, `Host: ${host}`, id, port]],
    ['a sandbox’s id twice', [`Host: ${host}`, id, `E2b-Sandbox-Id: ${attacker.id}`, port]],
    ['a port twice', [`Host: ${host}`, id, port, envd]],
    ['an id without a port', [`Host: ${host}`, id]],
    ['a port without an id', [`Host: ${host}`, port]],
    ['an id in capitals', [`Host: ${host}`, `E2b-Sandbox-Id: ${victim.id.toUpperCase()}`, port]],
    ['an id with a dot', [`Host: ${host}`, `E2b-Sandbox-Id: ${victim.id}.`, port]],
    ['an id with a slash', [`Host: ${host}`, `E2b-Sandbox-Id: ${attacker.id}/../${victim.id}`, port]],
    ['an id in percents', [`Host: ${host}`, `E2b-Sandbox-Id: %69${victim.id.slice(1)}`, port]],
    ['two ids in one line', [`Host: ${host}`, `E2b-Sandbox-Id: ${attacker.id}, ${victim.id}`, port]],
    ['port 0', [`Host: ${host}`, id, 'E2b-Sandbox-Port: 0']],
    ['port 65536', [`Host: ${host}`, id, 'E2b-Sandbox-Port: 65536']],
    ['a port with a zero before', [`Host: ${host}`, id, `E2b-Sandbox-Port: 0${recorderPort}`]],
    ['a port with a sign', [`Host: ${host}`, id, `E2b-Sandbox-Port: +${recorderPort}`]],
    ['a negative port', [`Host: ${host}`, id, 'E2b-Sandbox-Port: -1']],
    ['a hexadecimal port', [`Host: ${host}`, id, 'E2b-Sandbox-Port: 0x1f40']],
    ['a port with an exponent', [`Host: ${host}`, id, 'E2b-Sandbox-Port: 8e3']],
    ['a port that isn’t whole', [`Host: ${host}`, id, 'E2b-Sandbox-Port: 8000.5']],
    ['a port with another behind it', [`Host: ${host}`, id, 'E2b-Sandbox-Port: 8000, 49983']],
    ['a name with a sign before its port', [`Host: +${recorderPort}-${victim.id}.localhost`]],
    ['a name with port 0', [`Host: 0-${victim.id}.localhost`]],
    ['a name with port 99999', [`Host: 99999-${victim.id}.localhost`]],
    ['a name with a zero before its port', [`Host: 0${recorderPort}-${victim.id}.localhost`]],
    ['a name without a domain', [`Host: ${recorderPort}-${victim.id}`]],
    ['a name with a space', [`Host: ${recorderPort}-${victim.id} .localhost`]],
    ['a name with user information', [`Host: x@${recorderPort}-${victim.id}.localhost`]],
    ['a name with a slash', [`Host: ${recorderPort}-${victim.id}.localhost/x`]],
    ['a name with a NUL', [`Host: ${recorderPort}-${victim.id}\0.localhost`]],
  ])('%s: nobody’s', async (_name, lines) => {
    const { statuses, text } = await get(lines)
    expect(statuses.length).toBeLessThanOrEqual(1)
    for (const status of statuses) expect(status, text).toBeGreaterThanOrEqual(400)
    expect(text).not.toMatch(/\r\n\r\nseen$/)
  })

  test('a name beats headers that say another sandbox', async () => {
    const lines = [`Host: ${recorderPort}-${attacker.id}.localhost`, id, port]
    const { text } = await get(lines)
    expect(text).not.toContain('seen')
  })

  test.each([
    ['CONNECT to elsewhere', `CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: 169.254.169.254:80`],
    ['CONNECT to the server', `CONNECT ${host} HTTP/1.1\r\nHost: ${host}`],
    ['CONNECT with a sandbox', `CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: ${host}\r\n${id}\r\n${port}`],
    ['a target of two words', `GET /a /b HTTP/1.1\r\nHost: ${host}`],
    ['no version', `GET /v2/sandboxes\r\nHost: ${host}`],
    ['a method of lower-case letters', `get / HTTP/1.1\r\nHost: ${host}`],
    ['the preface of HTTP/2 in a request', `PRI * HTTP/1.1\r\nHost: ${host}`],
    ['a head of 1 MiB', `GET / HTTP/1.1\r\nHost: ${host}\r\nX-A: ${'a'.repeat(1 << 20)}`],
    ['a target of 1 MiB', `GET /${'a'.repeat(1 << 20)} HTTP/1.1\r\nHost: ${host}`],
    ['20,000 headers', `GET / HTTP/1.1\r\nHost: ${host}\r\n${'X-A: b\r\n'.repeat(20_000)}X-B: c`],
  ])('%s is refused', async (_name, head) => {
    const { statuses, text } = await sendRaw(`${head}\r\n\r\n`)
    expect(statuses.length).toBeLessThanOrEqual(1)
    for (const status of statuses) expect(status, text.slice(0, 500)).toBeGreaterThanOrEqual(400)
  })

  test('a target with another host doesn’t change whose a request is', async () => {
    const lines = [`Host: ${host}`, `X-API-Key: ${victimKey}`]
    const { text } = await get(lines, `http://${recorderPort}-${victim.id}.localhost/attempt`)
    expect(text).not.toContain('seen')
  })
})

describe('what only the server may ask of envd', () => {
  test.each([
    ...['/init', '/freeze', '/unfreeze', '/collapse', '/fsfreeze', '/fsthaw', '/upgrade'],
    ...[
      '/init?x',
      '/init/',
      '//init',
      '/./init',
      '/%69nit',
      '/INIT',
      '/init;x',
      '/x/../init',
      '/init#x',
      '/init%00',
    ],
  ])('%s isn’t there', async (target) => {
    const head = [`POST ${target} HTTP/1.1`, `Host: ${host}`, id, envd, token, 'Content-Length: 2']
    const { statuses, text } = await sendRaw(`${head.join('\r\n')}\r\n\r\n{}`)
    expect(statuses.length).toBe(1)
    expect(statuses[0], text).toBeGreaterThanOrEqual(400)
  })
})

describe('envd without the sandbox’s token', () => {
  const calls = [
    ...[
      'GET /files?path=/etc/passwd',
      'POST /files?path=x',
      'POST /files/compose',
      'GET /metrics',
      'GET /envs',
    ],
    ...['List', 'Start', 'SendInput', 'SendSignal', 'Update', 'Connect', 'StreamInput', 'CloseStdin'].map(
      (name) => `POST /process.Process/${name}`,
    ),
    ...['Stat', 'MakeDir', 'Move', 'ListDir', 'Remove', 'WatchDir', 'CreateWatcher', 'GetWatcherEvents'].map(
      (name) => `POST /filesystem.Filesystem/${name}`,
    ),
  ]
  test.each(calls)('%s is refused', async (call) => {
    const body = call.startsWith('GET') ? {} : { body: '{"path":"/"}' }
    const { status } = await ask(call, { headers: routeTo(victim.id), ...body })
    expect([401, 404, 415]).toContain(status)
  })

  test.each([
    ['another sandbox’s', [attacker.token]],
    ['an empty one', ['']],
    ['the API key', [victimKey]],
    ['half of it', [victim.token.slice(0, -1)]],
    ['more than it', [`${victim.token}0`]],
    ['it in capitals', [victim.token.toUpperCase()]],
    ['null', ['null']],
    ['undefined', ['undefined']],
    ['it behind another one', [attacker.token, victim.token]],
    ['it before another one', [victim.token, attacker.token]],
    ['it behind a word', [`Bearer ${victim.token}`]],
  ])('%s as the token is refused', async (_name, tokens) => {
    const headers = { ...routeTo(victim.id), 'x-access-token': tokens }
    expect((await ask('POST /process.Process/List', { headers, body: '{}' })).status).toBe(401)
  })

  test('with it they are served', async () => {
    const headers = { ...routeTo(victim.id), 'x-access-token': victim.token }
    expect((await ask('POST /process.Process/List', { headers, body: '{}' })).status).toBe(200)
  })
})
