/**
 * An answer that is one list, written as it comes: what is held of it is one batch of the agent's and the piece that is
 * made of it. A short one is sent as a whole, with its length, so that a failure is still an error of its own.
 *
 *     JSON       {"<field>":[<item>,<item>]}, or {} without items
 *     protobuf   for each item: the field's tag, the item's length, the item
 */
import { once } from 'node:events'
import type { Writable } from 'node:stream'
import { createGzip } from 'node:zlib'
import { create, type DescMessage, type MessageInitShape, toBinary, toJsonString } from '@bufbuild/protobuf'
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import type { HttpResponse } from '../../domain/http.ts'
import type { Codec } from './envelope.ts'
import type { RpcCall } from './rpc-call.ts'
import { contentTypeOf, sendReply } from './unary-response.ts'

/** A piece is as long as this, about, in bytes: it is written once it is. A list that is no longer is sent as a whole. */
const pieceBytes = 64 * 1024
/** Most items that are made in one turn of the event loop, and most bytes. */
const stepItems = 100
const stepBytes = 64 * 1024

export interface SendListOptions<Item extends DescMessage> {
  call: RpcCall
  res: HttpResponse
  codec: Codec
  item: Item
  field: { number: number; name: string }
  isGzip: boolean
}

/** Errors: those of `batches` and of `RpcCall.turn`; the signal's reason. */
export async function sendList<Item extends DescMessage>(
  batches: AsyncIterable<Iterable<MessageInitShape<Item>>>,
  { call, res, codec, item, field, isGzip }: SendListOptions<Item>,
): Promise<void> {
  const encoder = createListEncoder(codec, item, field)
  let sink = undefined as Writable | undefined
  let items = 0
  let bytes = 0

  async function flush(): Promise<void> {
    sink ??= begin(res, codec, isGzip)
    if (!sink.write(encoder.take())) await once(sink, 'drain', { signal: call.signal })
  }

  for await (const batch of batches) {
    for (const init of batch) {
      if (items >= stepItems || bytes >= stepBytes) {
        if (encoder.length() >= pieceBytes) await flush()
        await call.turn()
        items = 0
        bytes = 0
      }
      items++
      bytes += encoder.add(init)
    }
  }
  encoder.end()
  if (sink === undefined) return sendReply(res, { codec, bytes: encoder.take(), isGzip })
  sink.end(encoder.take())
}

function begin(res: HttpResponse, codec: Codec, isGzip: boolean): Writable {
  res.writeHead(200, {
    'content-type': contentTypeOf(codec),
    ...(isGzip && { 'content-encoding': 'gzip' }),
  })
  if (!isGzip) return res
  const compressor = createGzip()
  compressor.pipe(res)
  res.once('close', () => compressor.destroy())
  return compressor
}

interface ListEncoder<Item extends DescMessage> {
  /** Returns how many bytes the item has. */
  add(init: MessageInitShape<Item>): number
  end(): void
  /** How much there is to be taken, in bytes. */
  length(): number
  /** What was added since the last time. */
  take(): Buffer
}

function createListEncoder<Item extends DescMessage>(
  codec: Codec,
  item: Item,
  field: SendListOptions<Item>['field'],
): ListEncoder<Item> {
  let pieces: Uint8Array[] = []
  let length = 0
  let isEmpty = true

  const push = (bytes: Uint8Array) => {
    pieces.push(bytes)
    length += bytes.length
    return bytes.length
  }
  const pushText = (text: string) => push(Buffer.from(text))

  return {
    add(init) {
      const message = create(item, init)
      const before = isEmpty ? `{"${field.name}":[` : ','
      isEmpty = false
      if (codec === 'json') return pushText(before + toJsonString(item, message))
      const bytes = toBinary(item, message)
      return push(new BinaryWriter().tag(field.number, WireType.LengthDelimited).bytes(bytes).finish())
    },
    end() {
      if (codec === 'json') pushText(isEmpty ? '{}' : ']}')
    },
    length: () => length,
    take() {
      const taken = Buffer.concat(pieces, length)
      pieces = []
      length = 0
      return taken
    },
  }
}
