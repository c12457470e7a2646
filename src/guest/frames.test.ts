import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ServerError } from '../domain/error.ts'
import { createFrameParser, encodeHeader, encodeRequest, type Frame, frameType } from './frames.ts'

const jsonTypes: number[] = [frameType.reply, frameType.error, frameType.end, frameType.item]
const dataTypes: number[] = [frameType.stdout, frameType.stderr, frameType.pty, frameType.data]

function encode({ type, payload }: Frame): Buffer {
  return Buffer.concat([encodeHeader(type, payload.length), payload])
}

/** Cuts `bytes` at the given places. */
function cut(bytes: Buffer, places: number[]): Buffer[] {
  const at = [0, ...places.map((place) => place % (bytes.length + 1)), bytes.length].sort((a, b) => a - b)
  return at.slice(1).map((end, index) => bytes.subarray(at[index], end))
}

function parseAll(chunks: Buffer[]): Frame[] {
  const parser = createFrameParser()
  const frames: Frame[] = []
  for (const chunk of chunks) {
    parser.feed(chunk)
    for (let frame = parser.next(); frame !== undefined; frame = parser.next()) frames.push(frame)
  }
  return frames
}

/** Joins neighbouring pieces of data, and drops empty data frames, so that splits don't matter. */
function normalize(frames: Frame[]): Frame[] {
  const joined: Frame[] = []
  for (const { type, payload } of frames) {
    const last = joined.at(-1)
    if (dataTypes.includes(type) && last?.type === type) last.payload = Buffer.concat([last.payload, payload])
    else if (jsonTypes.includes(type) || payload.length > 0)
      joined.push({ type, payload: Buffer.from(payload) })
  }
  return joined
}

const frame = fc.record({
  type: fc.constantFrom(...jsonTypes, ...dataTypes),
  payload: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
})

describe('the frame parser', () => {
  it('gives the frames that were sent, however the bytes arrive', () => {
    fc.assert(
      fc.property(fc.array(frame), fc.array(fc.nat()), (frames, places) => {
        const parsed = parseAll(cut(Buffer.concat(frames.map(encode)), places))
        expect(normalize(parsed)).toEqual(normalize(frames))
      }),
    )
  })

  it('takes any bytes without any other error than its own, and keeps none of what it has passed on', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), fc.array(fc.nat()), (bytes, places) => {
        try {
          const total = parseAll(cut(Buffer.from(bytes), places)).reduce(
            (sum, { payload }) => sum + payload.length,
            0,
          )
          expect(total).toBeLessThanOrEqual(bytes.length)
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(ServerError)
          expect((thrown as ServerError).code).toBe('internal')
        }
      }),
    )
  })

  it('passes data on without copying it', () => {
    const payload = Buffer.from('some output')
    const chunk = encode({ type: frameType.stdout, payload })
    expect(parseAll([chunk])[0]?.payload.buffer).toBe(chunk.buffer)
  })

  it('collects long JSON that arrives byte by byte', () => {
    const payload = Buffer.alloc(50_000, 'x')
    const chunks = [...encode({ type: frameType.item, payload })].map((byte) => Buffer.from([byte]))
    expect(parseAll(chunks)).toEqual([{ type: frameType.item, payload }])
  })

  it.each([
    ['a type only hosts send', frameType.input, 0],
    ['an unknown type', 0x7f, 0],
    ['too long an error', frameType.error, 64 * 1024 + 1],
    ['too long a reply', frameType.reply, 4 * 1024 * 1024 + 1],
    ['too long data', frameType.data, 256 * 1024 + 1],
    ['the longest length there is', frameType.item, 0xffff_ffff],
  ])('refuses %s as soon as it is announced', (_, type, length) => {
    const parser = createFrameParser()
    parser.feed(encodeHeader(type, length))
    expect(() => parser.next()).toThrow(ServerError)
  })

  it('gives back what it has not taken', () => {
    const parser = createFrameParser()
    parser.feed(
      Buffer.concat([encode({ type: frameType.reply, payload: Buffer.from('{}') }), Buffer.from('raw')]),
    )
    parser.next()
    expect(parser.rest().toString()).toBe('raw')
  })
})

describe('encodeRequest', () => {
  it('frames JSON by its length in bytes', () => {
    const bytes = encodeRequest({ op: 'stat', path: 'ä' })
    expect(bytes.readUInt32BE(0)).toBe(bytes.length - 5)
    expect(JSON.parse(bytes.subarray(5).toString())).toEqual({ op: 'stat', path: 'ä' })
  })

  it('refuses what the agent would not read', () => {
    expect(() => encodeRequest({ op: 'exec', cmd: 'x'.repeat(5 * 1024 * 1024) })).toThrow(
      /The limit is 4194304/,
    )
  })
})
