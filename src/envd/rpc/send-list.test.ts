/** Lists of any length as they cross the network: the bytes, the turns they take, what is held of them. */
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { gunzipSync } from 'node:zlib'
import { create, type MessageInitShape, toBinary, toJsonString } from '@bufbuild/protobuf'
import { describe, expect, it } from 'vitest'
import { silentLog } from '../../lib/log.ts'
import {
  EntryInfoSchema,
  ListDirRequestSchema,
  ListDirResponseSchema,
} from '../../wire/gen/envd/filesystem/filesystem_pb.ts'
import { createEnvdLog } from '../envd-log.ts'
import { createLoad } from '../load.ts'
import type { EnvdTarget } from '../target.ts'
import { send } from '../wire.fixture.ts'
import { createRpcCall } from './rpc-call.ts'
import { createListHandler } from './unary-handler.ts'

type Item = MessageInitShape<typeof EntryInfoSchema>
type Batches = () => AsyncIterable<Iterable<Item>>

const target: EnvdTarget = {
  guest: { connect: () => Promise.reject(new Error('nobody there')) },
  sandboxId: 'itest',
  accessToken: null,
  envVars: {},
  gone: new AbortController().signal,
}

/** A server whose one RPC answers with that list. */
async function serve(batches: Batches) {
  const handle = createListHandler({
    input: ListDirRequestSchema,
    item: EntryInfoSchema,
    field: { number: 1, name: 'entries' },
    serve: batches,
  })
  const shared = { log: createEnvdLog(silentLog), load: createLoad() }
  const server = createServer((req, res) => {
    res.on('error', () => {})
    handle(createRpcCall(target, shared, { req, res }), req, res)
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function ask(url: string, codec: 'json' | 'proto', headers = {}): Promise<IncomingMessage> {
  const body = codec === 'json' ? '{}' : Buffer.alloc(0)
  return send(url, { headers: { 'content-type': `application/${codec}`, ...headers }, body })
}

const itemOf = (i: number): Item => ({ name: `f${i}`, path: `/d/f${i} "ü"`, size: BigInt(i), mode: 0o644 })
const itemsOf = (count: number): Item[] => Array.from({ length: count }, (_, i) => itemOf(i))

async function* inBatches(items: Item[], length: number) {
  for (let at = 0; at < items.length; at += length) yield items.slice(at, at + length)
}

describe('a list', () => {
  it.each([0, 1, 7, 3000])('of %i items has the bytes of its message', async (count) => {
    const items = itemsOf(count)
    await using server = await serve(() => inBatches(items, 500))
    const whole = create(ListDirResponseSchema, { entries: items })
    for (const accepted of ['identity', 'gzip']) {
      const headers = { 'accept-encoding': accepted }
      const json = await ask(server.url, 'json', headers)
      expect([json.statusCode, json.headers['content-type']]).toEqual([200, 'application/json'])
      expect((await decoded(json)).toString()).toBe(toJsonString(ListDirResponseSchema, whole))
      const proto = await ask(server.url, 'proto', headers)
      expect([proto.statusCode, proto.headers['content-type']]).toEqual([200, 'application/proto'])
      expect((await decoded(proto)).equals(toBinary(ListDirResponseSchema, whole))).toBe(true)
      for (const { headers } of [json, proto]) {
        expect(headers['content-length'] === undefined).toBe(count === 3000)
        expect(headers['content-encoding']).toBe(accepted === 'gzip' && count === 3000 ? 'gzip' : undefined)
      }
    }
  })

  it('leaves the loop to others after every hundred items, also of one batch', async () => {
    let loopTurn = 0
    const made = new Map<number, number>()
    await using server = await serve(async function* () {
      yield (function* () {
        for (let i = 0; i < 5000; i++) {
          made.set(loopTurn, (made.get(loopTurn) ?? 0) + 1)
          yield itemOf(i)
        }
      })()
    })
    let isOver = false
    const count = () => {
      loopTurn++
      if (!isOver) setImmediate(count)
    }
    setImmediate(count)
    const lists = Array.from({ length: 3 }, async () => buffer(await ask(server.url, 'json')))
    for (const body of await Promise.all(lists)) {
      expect(JSON.parse(body.toString()).entries).toHaveLength(5000)
    }
    isOver = true
    // Those that begin in the same turn have a first step each.
    expect(Math.max(...made.values())).toBeLessThanOrEqual(303)
    expect(made.size).toBeGreaterThanOrEqual(140)
  })

  it('is made no further than its client reads, and given up with it', async () => {
    let count = 0
    let isOver = false
    await using server = await serve(async function* () {
      try {
        for (;;) {
          const items = itemsOf(100)
          count += items.length
          yield items
        }
      } finally {
        isOver = true
      }
    })
    const response = await ask(server.url, 'proto')
    response.on('error', () => {})
    response.pause()
    for (let last = -1; last !== count; ) {
      last = count
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
    expect(count).toBeLessThan(1_000_000)
    response.destroy()
    await expect.poll(() => isOver).toBe(true)
  })

  it('that fails at once is an error, and one that fails later is cut', async () => {
    await using early = await serve(async function* () {
      yield itemsOf(3)
      throw new Error('broken')
    })
    const refused = await ask(early.url, 'json')
    expect([refused.statusCode, refused.headers['content-type']]).toEqual([500, 'application/json'])
    expect(JSON.parse((await buffer(refused)).toString())).toMatchObject({ code: 'internal' })

    await using late = await serve(async function* () {
      yield itemsOf(3000)
      throw new Error('broken')
    })
    const cut = await ask(late.url, 'json')
    expect(cut.statusCode).toBe(200)
    await expect(buffer(cut)).rejects.toThrow('aborted')
  })
})

async function decoded(response: IncomingMessage): Promise<Buffer> {
  const body = await buffer(response)
  return response.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body
}
