/** What HTTP/2 lets a client say twice, hide, repeat or flood with. */
import { once } from 'node:events'
import { type ClientHttp2Session, connect, type OutgoingHttpHeaders } from 'node:http2'
import { connect as connectTcp } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import { ask, routeTo } from './support/ask.ts'
import { attacked, recorderPort } from './support/attacked.ts'

const { url, victim, attacker, victimKey } = attacked()
const { hostname, port, host } = new URL(url)
const name = `${recorderPort}-${victim.id}.localhost`

/** Time after which there is no answer, in milliseconds. */
const answerMaxMs = 5_000

interface Answer {
  status: number
  text: string
}

/** Undefined where there is none: the stream is reset, or the request can't be sent at all. */
async function exchange(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
): Promise<Answer | undefined> {
  const stream = session.request(headers)
  stream.on('error', () => {})
  stream.setTimeout(answerMaxMs, () => stream.close())
  const [head] = (await Promise.race([once(stream, 'response'), once(stream, 'close')])) as [unknown]
  if (typeof head !== 'object' || head === null) return undefined
  const body = await text(stream).catch(() => '')
  return { status: Number((head as Record<string, unknown>)[':status']), text: body }
}

async function send(headers: OutgoingHttpHeaders): Promise<Answer | undefined> {
  const session = connect(url)
  session.on('error', () => {})
  try {
    return await exchange(session, headers)
  } catch {
    return undefined
  } finally {
    session.destroy()
  }
}

async function expectWell(): Promise<void> {
  expect((await ask('GET /health')).status).toBe(200)
}

describe('a request', () => {
  test.each<[string, OutgoingHttpHeaders]>([
    ['two ids', { ...routeTo(victim.id, recorderPort), 'e2b-sandbox-id': [victim.id, attacker.id] }],
    ['two ports', { 'e2b-sandbox-id': victim.id, 'e2b-sandbox-port': ['8000', '49983'] }],
    ['an id only', { 'e2b-sandbox-id': victim.id }],
    ['an id in capitals', routeTo(victim.id.toUpperCase(), recorderPort)],
    ['CONNECT to elsewhere', { ':method': 'CONNECT', ':authority': '169.254.169.254:80' }],
    ['CONNECT to the server', { ':method': 'CONNECT', ':authority': host }],
    [
      'extended CONNECT of another protocol',
      {
        ':method': 'CONNECT',
        ':protocol': 'connect-ip',
        ':path': '/',
        ':scheme': 'http',
        ':authority': name,
      },
    ],
    ['a target that isn’t a path', { ':path': 'http://localhost/' }],
    ['a target with a space', { ':path': '/a b' }],
    ['an authority with a space', { ':authority': `${name} x` }],
    ['an authority with user information', { ':authority': `x@${name}` }],
    ['an authority with a slash', { ':authority': `${name}/x` }],
    ['a method with a space', { ':method': 'GET /x' }],
    [
      'a token twice',
      {
        ...routeTo(victim.id),
        ':path': '/process.Process/List',
        ':method': 'POST',
        'x-access-token': `${attacker.token}, ${victim.token}`,
      },
    ],
    ['a key twice', { ':path': '/v2/sandboxes', 'x-api-key': `${victimKey}, ${victimKey}` }],
    ['a name of port 0', { ':authority': `0-${victim.id}.localhost` }],
    ['a name without a domain', { ':authority': `${recorderPort}-${victim.id}` }],
  ])('with %s reaches nobody', async (_name, headers) => {
    const answer = await send({ ':path': '/attempt', ...headers })
    if (answer !== undefined) expect(answer.status, answer.text).toBeGreaterThanOrEqual(400)
    expect(answer?.text ?? '').not.toBe('seen')
  })

  test.each<[string, OutgoingHttpHeaders]>([
    ['Connection', { connection: 'close' }],
    ['Transfer-Encoding', { 'transfer-encoding': 'chunked' }],
    ['Upgrade', { upgrade: 'h2c' }],
    ['Keep-Alive', { 'keep-alive': 'timeout=5' }],
    ['Proxy-Connection', { 'proxy-connection': 'close' }],
    ['a CR and LF in a value', { 'x-a': 'b\r\nx-c: d' }],
    ['a NUL in a value', { 'x-a': 'b\0c' }],
    ['a second authority', { host: `${recorderPort}-${attacker.id}.localhost` }],
  ])('with %s doesn’t reach another than it names', async (_name, headers) => {
    const answer = await send({ ':path': '/v2/sandboxes', ...headers })
    // It is the API's, without a key, or none at all.
    if (answer !== undefined) expect([400, 401, 404, 502], answer.text).toContain(answer.status)
  })
})

/** Frames of our own making, behind the preface and the settings. */
function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

const preface = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(4, 0, 0)])
/** `GET / http` with names of HPACK's own table. */
const smallHead = Buffer.from([0x82, 0x84, 0x86])
const repeat = (count: number, make: (i: number) => Buffer) =>
  Buffer.concat(Array.from({ length: count }, (_, i) => make(i)))

describe('a flood of', () => {
  test.each<[string, () => Buffer]>([
    [
      'streams that are reset at once',
      () =>
        repeat(20_000, (i) =>
          Buffer.concat([frame(1, 5, 2 * i + 1, smallHead), frame(3, 0, 2 * i + 1, Buffer.alloc(4))]),
        ),
    ],
    [
      'CONTINUATION',
      () =>
        Buffer.concat([
          frame(1, 1, 1, smallHead),
          repeat(50_000, () => frame(9, 0, 1, Buffer.from([0x00, 1, 0x61, 1, 0x62]))),
        ]),
    ],
    [
      'empty CONTINUATION',
      () => Buffer.concat([frame(1, 1, 1, smallHead), repeat(50_000, () => frame(9, 0, 1))]),
    ],
    ['SETTINGS', () => repeat(50_000, () => frame(4, 0, 0, Buffer.from([0, 4, 0, 0, 0xff, 0xff])))],
    ['PING', () => repeat(50_000, () => frame(6, 0, 0, Buffer.alloc(8)))],
    [
      'empty DATA',
      () =>
        Buffer.concat([
          frame(1, 4, 1, Buffer.concat([Buffer.from([0x83]), smallHead.subarray(1)])),
          repeat(50_000, () => frame(0, 0, 1)),
        ]),
    ],
    ['PRIORITY', () => repeat(50_000, (i) => frame(2, 0, 2 * i + 1, Buffer.from([0, 0, 0, 0, 1])))],
    [
      'headers out of a small table',
      () =>
        Buffer.concat([
          frame(
            1,
            1,
            1,
            Buffer.concat([
              smallHead,
              Buffer.from([0x40, 1, 0x61, 0x7f, 0x81, 0x1e]),
              Buffer.alloc(4_000, 0x62),
            ]),
          ),
          frame(9, 4, 1, Buffer.alloc(16_000, 0xbe)),
        ]),
    ],
    ['frames longer than they may be', () => frame(0, 0, 1, Buffer.alloc(1 << 20))],
    ['windows past their end', () => repeat(3, () => frame(8, 0, 0, Buffer.from([0x7f, 0xff, 0xff, 0xff])))],
  ])('%s leaves the server well', async (_name, make) => {
    const socket = connectTcp(Number(port), hostname)
    socket.on('error', () => {})
    const closed = new Promise((resolve) => socket.once('close', resolve))
    socket.resume()
    socket.write(preface)
    socket.end(make())
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 3_000))])
    socket.destroy()
    await expectWell()
  })
})
