import { createSocket } from 'node:dgram'
import { promises as dns } from 'node:dns'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { decode, encode, type Packet } from 'dns-packet'
import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { silentLog } from '../lib/log.ts'
import { createFrames, frame } from './frames.ts'
import type { ResolverAddress } from './resolvers.ts'
import { type DnsResponder, startDns } from './responder.ts'

const started: { close(): void }[] = []
afterEach(() => {
  for (const each of started.splice(0)) each.close()
})

async function start(
  resolvers: ResolverAddress[] | ((own: ResolverAddress) => ResolverAddress[]) = [],
  address = '192.0.2.7',
): Promise<DnsResponder> {
  const responder: DnsResponder = await startDns({
    listen: { address: '127.0.0.1', port: 0 },
    zone: { domain: 'e2b.local', address },
    log: silentLog,
    resolvers: () => (Array.isArray(resolvers) ? resolvers : resolvers(responder.address)),
  })
  started.push(responder)
  return responder
}

function clientOf({ address: { address, port } }: DnsResponder): dns.Resolver {
  const client = new dns.Resolver({ timeout: 8000, tries: 1 })
  client.setServers([`${address}:${port}`])
  return client
}

/** A resolver of another machine: answers each query with what `answer` gives. */
async function startUpstream(
  answer: (query: Packet, raw: Buffer) => Buffer[] | undefined,
): Promise<ResolverAddress & { asked: Packet[] }> {
  const asked: Packet[] = []
  const socket = createSocket('udp4').bind(0, '127.0.0.1')
  await once(socket, 'listening')
  started.push(socket)
  socket.on('message', (raw, { address, port }) => {
    const query = decode(raw)
    asked.push(query)
    for (const each of answer(query, raw) ?? []) socket.send(each, port, address)
  })
  return { address: '127.0.0.1', port: socket.address().port, asked }
}

const answerTo = (query: Packet, more: Packet = {}) =>
  encode({
    type: 'response',
    id: query.id ?? 0,
    questions: query.questions ?? [],
    answers: [{ type: 'A', name: query.questions![0]!.name, ttl: 1, data: '198.51.100.1' }],
    ...more,
  })

/** Sends bytes by UDP and gives what comes back. Unless alone: undefined when a proper query after it is answered first. */
async function exchange(
  { address: { address, port } }: DnsResponder,
  bytes: Buffer,
  { isAlone = false } = {},
): Promise<Packet | undefined> {
  const socket = createSocket('udp4')
  const last = encode({ type: 'query', id: 9999, questions: [{ type: 'A', name: 'last.e2b.local' }] })
  try {
    socket.send(bytes, port, address)
    if (!isAlone) socket.send(last, port, address)
    const [first] = (await once(socket, 'message')) as [Buffer]
    const packet = decode(first)
    return packet.id === 9999 ? undefined : packet
  } finally {
    socket.close()
  }
}

describe('the server’s domain', () => {
  test.each(['e2b.local', 'api.e2b.local', '3000-iabc.e2b.local', 'A.B.E2B.Local'])('%s', async (name) => {
    const client = clientOf(await start())
    expect(await client.resolve4(name)).toEqual(['192.0.2.7'])
    await expect(client.resolve6(name)).rejects.toMatchObject({ code: 'ENODATA' })
    await expect(client.resolveTxt(name)).rejects.toMatchObject({ code: 'ENODATA' })
  })

  test('with an IPv6 listener', async () => {
    const client = clientOf(await start([], '2001:db8::7'))
    expect(await client.resolve6('api.e2b.local')).toEqual(['2001:db8::7'])
    await expect(client.resolve4('api.e2b.local')).rejects.toMatchObject({ code: 'ENODATA' })
  })

  test('is not everything that ends like it', async () => {
    const upstream = await startUpstream((query) => [answerTo(query)])
    const client = clientOf(await start([upstream]))
    expect(await client.resolve4('note2b.local')).toEqual(['198.51.100.1'])
  })

  test('over TCP, several queries on a connection, in any pieces', async () => {
    const { address } = await start()
    const socket = connect(address.port, address.address)
    const answers: Packet[] = []
    socket.on(
      'data',
      createFrames((message) => answers.push(decode(message))),
    )
    const queries = [1, 2, 3].map((id) =>
      frame(encode({ type: 'query', id, questions: [{ type: 'A', name: `${id}.e2b.local` }] })),
    )
    for (const byte of Buffer.concat(queries)) socket.write(Buffer.from([byte]))
    await expect.poll(() => answers.length).toBe(3)
    expect(answers.map(({ id }) => id)).toEqual([1, 2, 3])
    socket.end()
    await once(socket, 'close')
  })
})

test('a version of EDNS that is not there yet is refused as one', async () => {
  const ask = async (ednsVersion: number) => {
    const fixed = { name: '.', udpPayloadSize: 1232, extendedRcode: 0, flags: 0, flag_do: false, options: [] }
    const additionals = [{ type: 'OPT' as const, ...fixed, ednsVersion }]
    const questions = [{ type: 'A' as const, name: 'api.e2b.local' }]
    const answer = await exchange(await start(), encode({ type: 'query', id: 4, questions, additionals }), {
      isAlone: true,
    })
    return { answers: answer?.answers?.length, additionals: answer?.additionals }
  }
  expect(await ask(0)).toMatchObject({ answers: 1, additionals: [{ type: 'OPT', extendedRcode: 0 }] })
  expect(await ask(1)).toMatchObject({ answers: 0, additionals: [{ type: 'OPT', extendedRcode: 1 }] })
})

describe('other domains', () => {
  test('are asked about with an id of our own, and answered under the client’s', async () => {
    const upstream = await startUpstream((query) => [answerTo(query)])
    const responder = await start([upstream])
    const ids = [1, 2, 3, 4, 5]
    for (const id of ids) {
      const query = encode({ type: 'query', id, questions: [{ type: 'A', name: `n${id}.example.com` }] })
      expect(await exchange(responder, query, { isAlone: true })).toMatchObject({ id })
    }
    expect(upstream.asked.map(({ id }) => id)).not.toEqual(ids)
  })

  test('have the answer to their own question and id, whatever else comes first', async () => {
    const upstream = await startUpstream((query) => [
      answerTo(query, { id: query.id! ^ 1 }),
      answerTo(query, { questions: [{ type: 'A', name: 'other.example.com' }] }),
      Buffer.from('no message'),
      answerTo(query, { type: 'query' }),
      answerTo(query, { answers: [{ type: 'A', name: 'x.example.com', ttl: 1, data: '203.0.113.5' }] }),
    ])
    const client = clientOf(await start([upstream]))
    expect(await client.resolve4('x.example.com')).toEqual(['203.0.113.5'])
  })

  test('go to the next resolver when one is silent', async () => {
    const silent = await startUpstream(() => undefined)
    const upstream = await startUpstream((query) => [answerTo(query)])
    const client = clientOf(await start([silent, upstream]))
    expect(await client.resolve4('x.example.com')).toEqual(['198.51.100.1'])
    expect(silent.asked.length).toBe(1)
  })

  test('go to the next resolver when one refuses, by TCP too', async () => {
    const refusing = await startUpstream((query) => [answerTo(query, { answers: [], flags: 5 })])
    const upstream = await startUpstream((query) => [answerTo(query)])
    const client = clientOf(await start([refusing, upstream]))
    expect(await client.resolve4('x.example.com')).toEqual(['198.51.100.1'])

    // Nobody takes TCP connections at the first's address.
    const overTcp = createServer((socket) => {
      socket.on(
        'data',
        createFrames((message) => socket.write(frame(answerTo(decode(message))))),
      )
      socket.on('error', () => {})
    }).listen(0, '127.0.0.1')
    await once(overTcp, 'listening')
    started.push(overTcp)
    const { port } = overTcp.address() as AddressInfo
    const { address } = await start([refusing, { address: '127.0.0.1', port }])
    const socket = connect(address.port, address.address)
    const answered = new Promise<Packet>((resolve) => {
      socket.on(
        'data',
        createFrames((message) => resolve(decode(message))),
      )
    })
    socket.write(frame(encode({ type: 'query', id: 3, questions: [{ type: 'A', name: 'x.example.com' }] })))
    expect(await answered).toMatchObject({ id: 3, answers: [{ data: '198.51.100.1' }] })
    socket.destroy()
  })

  test('fail where there is nobody to ask', async () => {
    await expect(clientOf(await start()).resolve4('x.example.com')).rejects.toMatchObject({
      code: 'ESERVFAIL',
    })
  })

  test('asked of a resolver that asks us end there', async () => {
    const asked: Packet[] = []
    const responder = await start((own) => {
      asked.push({})
      return [own]
    })
    await expect(clientOf(responder).resolve4('x.example.com')).rejects.toMatchObject({ code: 'ESERVFAIL' })
    // Once for the client, and once for the query that came back; a circle would go on.
    expect(asked.length).toBeLessThanOrEqual(2)
  })
})

test('a circle of resolvers that spell queries anew ends after a few', async () => {
  let asked = 0
  const circle: { responder?: DnsResponder } = {}
  const respelling = await startUpstream((query) => {
    asked++
    const [question] = query.questions!
    const name = [...question!.name]
      .map((letter) => (Math.random() < 0.5 ? letter : letter.toUpperCase()))
      .join('')
    const again = encode({ type: 'query', id: asked, questions: [{ ...question!, name }] })
    void exchange(circle.responder!, again, { isAlone: true })
    return undefined
  })
  circle.responder = await start([respelling])
  const client = clientOf(circle.responder)
  await expect(client.resolve4('a-long-name-with-many-spellings.example.com')).rejects.toMatchObject({
    code: 'ESERVFAIL',
  })
  expect(asked).toBeLessThanOrEqual(8)
})

describe('bytes that are no query', () => {
  test('which have a header are told so', async () => {
    const responder = await start()
    const header = Buffer.from('1234010000010000000000ff', 'hex')
    expect(await exchange(responder, header)).toMatchObject({ id: 0x1234, rcode: 'FORMERR' })
    const two = encode({
      type: 'query',
      id: 7,
      questions: [
        { type: 'A', name: 'a.e2b.local' },
        { type: 'A', name: 'b.e2b.local' },
      ],
    })
    expect(await exchange(responder, two)).toMatchObject({ id: 7, rcode: 'FORMERR' })
    const notify = Buffer.from('123520000000000000000000', 'hex')
    expect(await exchange(responder, notify)).toMatchObject({ id: 0x1235, rcode: 'NOTIMP' })
  })

  test('which are responses get none', async () => {
    const response = encode({ type: 'response', id: 5, questions: [{ type: 'A', name: 'a.e2b.local' }] })
    expect(await exchange(await start(), response)).toBeUndefined()
  })

  test('of any kind end nothing', async () => {
    const responder = await start()
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 64 }), async (bytes) => {
        const answer = await exchange(responder, Buffer.from(bytes))
        if (answer !== undefined) expect(answer.type).toBe('response')
      }),
      { numRuns: 300 },
    )
  })
})
