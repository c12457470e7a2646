import { create, toBinary, toJsonString } from '@bufbuild/protobuf'
import { describe, expect, it } from 'vitest'
import { ConnectResponseSchema, StartResponseSchema } from '../../wire/gen/envd/process/process_pb.ts'
import type { Codec } from '../rpc/envelope.ts'
import { splitEnvelopes } from '../wire.fixture.ts'
import { createOutputBatch, type OutputKind } from './output-batch.ts'

const kinds: OutputKind[] = ['stdout', 'stderr', 'pty']

function bytesOf(length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, index) => (index * 7) % 256))
}

/** What the general encoder makes of one event. */
function expected(schema: typeof StartResponseSchema | typeof ConnectResponseSchema, codec: Codec) {
  return (kind: OutputKind, bytes: Buffer): Buffer => {
    const message = create(schema, {
      event: { event: { case: 'data', value: { output: { case: kind, value: bytes } } } },
    })
    return codec === 'json'
      ? Buffer.from(toJsonString(schema, message))
      : Buffer.from(toBinary(schema, message))
  }
}

describe.each(['json', 'proto'] as const)('a batch of output in %s', (codec) => {
  const lengths = [1, 2, 3, 120, 121, 122, 123, 127, 128, 4095, 4096, 4097, 16_383, 16_384, 16_385, 32_768]

  it.each(lengths)('encodes %i bytes as the library does', (length) => {
    for (const schema of [StartResponseSchema, ConnectResponseSchema]) {
      for (const kind of kinds) {
        const bytes = bytesOf(length)
        const batch = createOutputBatch()
        batch.add(kind, bytes)
        const longest = kind === 'pty' ? 16_384 : 32_768
        const pieces = [bytes.subarray(0, longest), bytes.subarray(longest)].filter((piece) => piece.length)
        expect(splitEnvelopes(Buffer.concat(batch.take(codec)))).toEqual(
          pieces.map((piece) => [0, expected(schema, codec)(kind, piece)]),
        )
      }
    }
  })

  it('joins what follows on its own kind, up to the longest event, and keeps the order', () => {
    const batch = createOutputBatch()
    const added: [OutputKind, Buffer][] = [
      ['stdout', bytesOf(5)],
      ['stdout', bytesOf(7)],
      ['stderr', bytesOf(3)],
      ['stdout', bytesOf(32_760)],
      ['stdout', bytesOf(8)],
      ['stdout', bytesOf(1)],
      ['pty', bytesOf(40_000)],
    ]
    for (const [kind, bytes] of added) batch.add(kind, bytes)
    const encode = expected(StartResponseSchema, codec)
    const pty = bytesOf(40_000)
    expect(splitEnvelopes(Buffer.concat(batch.take(codec)))).toEqual([
      [0, encode('stdout', Buffer.concat([bytesOf(5), bytesOf(7)]))],
      [0, encode('stderr', bytesOf(3))],
      [0, encode('stdout', Buffer.concat([bytesOf(32_760), bytesOf(8)]))],
      [0, encode('stdout', bytesOf(1))],
      [0, encode('pty', pty.subarray(0, 16_384))],
      [0, encode('pty', pty.subarray(16_384, 32_768))],
      [0, encode('pty', pty.subarray(32_768))],
    ])
  })

  it('is empty once it was taken', () => {
    const batch = createOutputBatch()
    expect(batch.take(codec)).toEqual([])
    batch.add('stdout', Buffer.from('x'))
    batch.add('stdout', Buffer.alloc(0))
    expect(splitEnvelopes(Buffer.concat(batch.take(codec)))).toHaveLength(1)
    expect(batch.take(codec)).toEqual([])
  })
})
