import { once } from 'node:events'
import { request } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { headMaxBytes } from './answer-head.ts'
import { AnswerParser } from './answer-parser.ts'

interface Told {
  events: string[]
  status: number
  headers: string[]
  body: string
  isReusable: boolean | undefined
  error: string | undefined
}

/** What a parser tells of bytes that come in pieces; `end`: the connection ends behind them. */
function parse(pieces: readonly Buffer[], { method = 'GET', end = false, canUpgrade = false } = {}): Told {
  const told: Told = { events: [], status: 0, headers: [], body: '', isReusable: undefined, error: undefined }
  const parser = new AnswerParser()
  parser.expect(method, {
    onInformation: ({ statusCode }) => told.events.push(`information ${statusCode}`),
    onHead({ statusCode, rawHeaders }) {
      told.events.push('head')
      told.status = statusCode
      told.headers = rawHeaders
    },
    onBody(bytes) {
      if (told.events.at(-1) !== 'body') told.events.push('body')
      told.body += bytes.toString('latin1')
    },
    onEnd(isReusable) {
      told.events.push('end')
      told.isReusable = isReusable
    },
    ...(canUpgrade && {
      onUpgrade(_head: unknown, firstBytes: Buffer) {
        told.events.push('upgrade')
        told.body = firstBytes.toString('latin1')
      },
    }),
  })
  try {
    for (const piece of pieces) if (parser.isBusy) parser.feed(piece)
    if (end && parser.isBusy) parser.finish()
  } catch (error) {
    told.error = (error as Error).message
  }
  return told
}

const latin1 = (text: string) => Buffer.from(text, 'latin1')
const whole = (text: string, options?: Parameters<typeof parse>[1]) => parse([latin1(text)], options)

describe('an answer', () => {
  test.each([
    ['a length', 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody', 'body', true],
    ['no body', 'HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\n', '', true],
    [
      'chunks',
      'HTTP/1.1 200\r\ntransfer-encoding: Chunked\r\n\r\n2;x=y\r\nbo\r\n02 \r\ndy\r\n0\r\nT: 1\r\n\r\n',
      'body',
      true,
    ],
    ['close', 'HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 4\r\n\r\nbody', 'body', false],
    ['HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nbody', 'body', false],
    ['more than asked for', 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbodyHTTP/1.1 200', 'body', false],
    ['bare line ends', 'HTTP/1.1 200 OK\nContent-Length: 4\n\nbody', 'body', true],
    ['empty lines before it', '\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody', 'body', true],
  ])('with %s is whole', (_name, text, body, isReusable) => {
    expect(whole(text)).toMatchObject({ body, isReusable, error: undefined })
  })

  test('to HEAD has a length and no body', () => {
    const told = whole('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n', { method: 'HEAD' })
    expect(told).toMatchObject({ events: ['head', 'end'], isReusable: true })
  })

  test('without a length ends with its connection', () => {
    const text = 'HTTP/1.1 200 OK\r\n\r\nall of it'
    expect(whole(text).isReusable).toBeUndefined()
    expect(whole(text, { end: true })).toMatchObject({ body: 'all of it', isReusable: false })
  })

  test('comes after informational ones', () => {
    const text =
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'
    expect(whole(text).events).toEqual(['information 100', 'information 103', 'head', 'end'])
    expect(whole('HTTP/1.1 103 Hints\r\n\r\n'.repeat(101)).error).toBe(
      'There are too many informational answers.',
    )
  })

  test('may be an upgrade, if it was asked for', () => {
    const text = 'HTTP/1.1 101 Yes\r\nUpgrade: x\r\n\r\nfirst bytes'
    expect(whole(text, { canUpgrade: true })).toMatchObject({ events: ['upgrade'], body: 'first bytes' })
    expect(whole(text).error).toBe('The answer is an upgrade that was not asked for.')
  })

  test.each([
    ['another protocol', 'SSH-2.0-OpenSSH_9\r\n\r\n'],
    ['HTTP/2', 'HTTP/2 200\r\n\r\n'],
    ['a status below 100', 'HTTP/1.1 099 Odd\r\n\r\n'],
    ['a header without a colon', 'HTTP/1.1 200 OK\r\nnonsense\r\n\r\n'],
    ['a space before the colon', 'HTTP/1.1 200 OK\r\nContent-Length : 4\r\n\r\nbody'],
    ['a folded header', 'HTTP/1.1 200 OK\r\nX: a\r\n b: c\r\n\r\n'],
    ['a carriage return in a value', 'HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\n\r\n'],
    ['a NUL', 'HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nbody'],
    ['a length and chunks', 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['a list of lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 4, 4\r\n\r\nbody'],
    ['a signed length', 'HTTP/1.1 200 OK\r\nContent-Length: +4\r\n\r\nbody'],
    ['a length beyond counting', 'HTTP/1.1 200 OK\r\nContent-Length: 9999999999999999\r\n\r\n'],
    ['another coding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n'],
    ['a size that is none', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x4\r\nbody\r\n'],
    [
      'a chunk that is too long',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nbody\r\n0\r\n\r\n',
    ],
    ['an endless head', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(headMaxBytes)}`],
    ['endless empty lines', '\r\n'.repeat(headMaxBytes)],
    [
      'an endless chunk extension',
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;${'x'.repeat(5000)}`,
    ],
    [
      'endless trailers',
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n${'X: 1\r\n'.repeat(4000)}`,
    ],
  ])('with %s is refused', (_name, text) => {
    expect(whole(text).error).toBeTypeOf('string')
    expect(whole(text).isReusable).toBeUndefined()
  })

  test.each([
    'HTTP/1.1 200 O',
    'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbod',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n',
  ])('that breaks off is not whole (%j)', (text) => {
    expect(whole(text, { end: true })).toMatchObject({ error: 'The connection ended before the answer did.' })
  })

  test('nothing is told once it is abandoned', () => {
    const parser = new AnswerParser()
    const told: string[] = []
    parser.expect('GET', {
      onInformation() {},
      onHead: () => parser.abandon(),
      onBody: () => told.push('body'),
      onEnd: () => told.push('end'),
    })
    parser.feed(latin1('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody'))
    expect(told).toEqual([])
    expect(() => parser.feed(latin1('x'))).toThrow('belong to no answer')
  })
})

const token = fc
  .stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,12}$/)
  .filter((name) => !/^(connection|content-length|transfer-encoding|upgrade)$/i.test(name))
const value = fc.stringMatching(/^([!-~\xa1-\xff]([ -~\xa1-\xff]{0,20}[!-~\xa1-\xff])?)?$/)

const bytes = fc
  .uint8Array({ minLength: 1, maxLength: 40 })
  .map((each) => Buffer.from(each).toString('latin1'))

/** A valid answer as text and what is to be told of it. */
const answer = fc
  .record({
    status: fc.integer({ min: 200, max: 599 }),
    reason: fc.stringMatching(/^[A-Za-z ]{0,10}$/),
    headers: fc.array(fc.tuple(token, value), { maxLength: 6 }),
    chunks: fc.array(bytes, { maxLength: 5 }),
    isChunked: fc.boolean(),
  })
  .map(({ status, reason, headers, chunks, isChunked }) => {
    const hasBody = status !== 204 && status !== 304
    const body = hasBody ? chunks.join('') : ''
    const sent = isChunked
      ? `${chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join('')}0\r\n\r\n`
      : chunks.join('')
    const framing = isChunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${sent.length}`
    const lines = [`HTTP/1.1 ${status} ${reason}`, ...headers.map((pair) => pair.join(': ')), framing]
    return {
      status,
      headers: headers.flat(),
      body,
      text: `${lines.join('\r\n')}\r\n\r\n${hasBody ? sent : ''}`,
    }
  })

/** The same bytes in pieces. */
const cut = (bytes: Buffer, at: readonly number[]) => {
  const points = [0, ...at.map((point) => point % (bytes.length + 1)), bytes.length].toSorted((a, b) => a - b)
  return points.slice(1).map((point, i) => bytes.subarray(points[i], point))
}

describe('any', () => {
  test('valid answer is told the same, however it is cut', () => {
    fc.assert(
      fc.property(answer, fc.array(fc.nat(), { maxLength: 8 }), ({ text, status, headers, body }, at) => {
        const told = parse(cut(latin1(text), at))
        expect(told).toMatchObject({ status, body, isReusable: true, error: undefined })
        expect(told.headers.slice(0, headers.length)).toEqual(headers)
      }),
    )
  })

  test('bytes give the same outcome, however they are cut', () => {
    const noise = fc.oneof(
      fc.string({ unit: 'binary-ascii', maxLength: 60 }),
      fc.constantFrom(
        '\r\n',
        '\r\n\r\n',
        'HTTP/1.1 200 OK\r\n',
        'Transfer-Encoding: chunked\r\n',
        'Content-Length: 3\r\n',
        '3\r\nabc\r\n',
        '0\r\n\r\n',
      ),
    )
    fc.assert(
      fc.property(fc.array(noise, { maxLength: 8 }), fc.array(fc.nat(), { maxLength: 8 }), (parts, at) => {
        const bytes = latin1(parts.join(''))
        const atOnce = parse([bytes], { end: true })
        const inPieces = parse(cut(bytes, at), { end: true })
        expect({ ...inPieces, isReusable: undefined }).toEqual({ ...atOnce, isReusable: undefined })
        expect(atOnce.events.at(-1) === 'end' || atOnce.error !== undefined || bytes.length === 0).toBe(true)
      }),
      { numRuns: 500 },
    )
  })

  test('valid answer is read as Node reads it', async () => {
    let text = ''
    const server = createServer((socket) => {
      socket.on('error', () => {})
      socket.once('data', () => socket.end(text, 'latin1'))
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    await fc.assert(
      fc.asyncProperty(answer, async (each) => {
        text = each.text
        const sent = request({ port, host: '127.0.0.1', agent: false }).end()
        const [res] = await once(sent, 'response')
        let body = ''
        for await (const chunk of res) body += chunk.toString('latin1')
        const told = whole(text)
        expect({ status: told.status, headers: told.headers, body: told.body }).toEqual({
          status: res.statusCode,
          headers: res.rawHeaders,
          body,
        })
      }),
      { numRuns: 60 },
    )
    server.close()
  })
})
