/** What an agent sends to the host: bytes that a hostile sandbox chooses. */
import { Duplex } from 'node:stream'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ServerError } from '../../src/domain/error.ts'
import { exec } from '../../src/guest/exec.ts'
import { createFrameParser, encodeHeader, frameType } from '../../src/guest/frames.ts'
import type { Guest } from '../../src/guest/guest.ts'
import { list } from '../../src/guest/list.ts'
import { listDir } from '../../src/guest/list-dir.ts'
import { metrics } from '../../src/guest/metrics.ts'
import { read } from '../../src/guest/read.ts'
import { stat } from '../../src/guest/stat.ts'
import { watcherEvents } from '../../src/guest/watchers.ts'
import { collect, collectBatches } from '../support/collect.ts'
import { bytes, cuts, type Mutation, mutate, mutation, split, within } from './support/bytes.ts'
import { fuzz } from './support/fuzz.ts'

const hangMs = 3000
const jsonTypes: number[] = [frameType.reply, frameType.error, frameType.end, frameType.item]

/** Fields that the protocol knows, with values that may be of any type. */
const fields = fc.dictionary(
  fc.constantFrom(
    ...['pid', 'entry', 'entries', 'processes', 'bytes', 'exitCode', 'exited', 'status', 'error', 'code'],
    ...[
      'message',
      'errno',
      'name',
      'type',
      'path',
      'size',
      'mode',
      'permissions',
      'owner',
      'group',
      'modifiedMs',
    ],
    ...['cmd', 'args', 'env', 'metadata', 'symlinkTarget', 'timestampMs', 'cpuCount', '__proto__'],
  ),
  fc.jsonValue({ maxDepth: 3 }),
)

const payload = fc.oneof(
  bytes(600),
  fields.map((object) => Buffer.from(JSON.stringify(object))),
  fc.jsonValue().map((value) => Buffer.from(JSON.stringify(value))),
)

const frame = fc
  .tuple(fc.oneof(fc.constantFrom(...Object.values(frameType)), fc.nat({ max: 255 })), payload)
  .map(([type, content]) => Buffer.concat([encodeHeader(type, content.length), content]))

const stream = fc.record({
  frames: fc.array(fc.oneof({ weight: 8, arbitrary: frame }, bytes(20)), { maxLength: 8 }),
  mutations: fc.oneof(fc.constant<Mutation[]>([]), fc.array(mutation, { maxLength: 3 })),
  cuts,
})

type Stream = typeof stream extends fc.Arbitrary<infer Value> ? Value : never

const wholeOf = ({ frames, mutations }: Stream) => mutate(Buffer.concat(frames), mutations)

/** What a parser makes of some pieces; data of one type that follows each other is joined, as it may come in any. */
function parse(pieces: Buffer[]): { seen: [type: number, payload: Buffer][]; error: string | undefined } {
  const parser = createFrameParser()
  const seen: [number, Buffer][] = []
  try {
    for (const piece of pieces) {
      parser.feed(piece)
      for (let next = parser.next(); next !== undefined; next = parser.next()) {
        const last = seen.at(-1)
        if (jsonTypes.includes(next.type)) seen.push([next.type, Buffer.from(next.payload)])
        else if (last?.[0] === next.type) last[1] = Buffer.concat([last[1], next.payload])
        else seen.push([next.type, Buffer.from(next.payload)])
      }
    }
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(ServerError)
    return { seen, error: (thrown as ServerError).code }
  }
  return { seen, error: undefined }
}

test('frames: the same in whatever pieces they come, never more than was sent, only typed errors', () =>
  fuzz({
    name: 'frames',
    input: stream,
    check(input) {
      const whole = wholeOf(input)
      const inPieces = parse(split(whole, input.cuts))
      expect(inPieces).toEqual(parse([whole]))
      const total = inPieces.seen.reduce((sum, [, content]) => sum + content.length, 0)
      expect(total).toBeLessThanOrEqual(whole.length)
      expect(inPieces.error ?? 'internal').toBe('internal')
    },
  }))

/** An agent that answers whatever it is asked with these pieces and leaves. */
function agentOf(pieces: Buffer[]): Guest {
  return {
    connect: async () => {
      // An empty piece would be the end of the stream's reading.
      const rest = pieces.filter((piece) => piece.length > 0)
      return new Duplex({
        read() {
          this.push(rest.length > 0 ? rest.shift() : null)
        },
        write: (_chunk, _encoding, callback) => callback(),
      })
    },
  }
}

const path = { path: '/x' }
const operations: Record<string, (guest: Guest, signal: AbortSignal) => Promise<unknown>> = {
  stat: (guest, signal) => stat(guest, path, signal),
  list: async (guest, signal) => collect(await list(guest, signal)),
  listDir: async (guest, signal) => collectBatches(await listDir(guest, { ...path, depth: 1 }, signal)),
  watcherEvents: (guest, signal) => collectBatches(watcherEvents(guest, 'x', signal)),
  metrics,
  async read(guest, signal) {
    for await (const _ of (await read(guest, path, signal)).body);
  },
  async exec(guest, signal) {
    const process = await exec(guest, { cmd: 'x', args: [], env: {}, stdin: false }, signal)
    for await (const _ of process.events);
  },
}

test('answers: every operation ends, with a result or a typed error', () =>
  fuzz({
    name: 'answers',
    input: fc.record({ stream, operation: fc.constantFrom(...Object.keys(operations)) }),
    async check({ stream: input, operation }) {
      const pieces = split(wholeOf(input), input.cuts)
      const signal = new AbortController().signal
      const result = operations[operation]!(agentOf(pieces), signal)
      const thrown = await within(hangMs, result).then(
        () => undefined,
        (error: unknown) => error,
      )
      if (thrown !== undefined) expect(thrown).toBeInstanceOf(ServerError)
    },
  }))
