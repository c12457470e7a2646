import { fromJson, type JsonValue } from '@bufbuild/protobuf'
import { describe, expect, it } from 'vitest'
import { SendInputRequestSchema, StreamInputRequestSchema } from '../../wire/gen/envd/process/process_pb.ts'
import { fromJsonWithBytes } from './json-bytes.ts'

const long = Buffer.from(Array.from({ length: 10_000 }, (_, i) => (i * 7) % 256))
const text = long.toString('base64')

describe('a message with long bytes', () => {
  it.each<JsonValue>([
    { process: { pid: 3 }, input: { stdin: text } },
    { input: { pty: text }, more: [text] },
    { input: { stdin: long.toString('base64url') } },
    { input: { stdin: 'eA==' }, process: { tag: text } },
    { input: null },
    {},
  ])('is what the general decoder makes of it (%#)', (json) => {
    const expected = fromJson(SendInputRequestSchema, json, { ignoreUnknownFields: true })
    const message = fromJsonWithBytes(SendInputRequestSchema, json)
    expect(message.process).toEqual(expected.process)
    expect(message.input?.input.case).toBe(expected.input?.input.case)
    const [bytes, wanted] = [message.input?.input.value, expected.input?.input.value]
    expect(Buffer.from(bytes ?? []).equals(Buffer.from(wanted ?? []))).toBe(true)
  })

  it('has them at any level', () => {
    const { event } = fromJsonWithBytes(StreamInputRequestSchema, { data: { input: { stdin: text } } })
    if (event.case !== 'data') throw new Error('not data')
    expect(Buffer.from(event.value.input?.input.value ?? []).equals(long)).toBe(true)
  })

  it.each([`${text.slice(0, 6000)}!${text.slice(6000)}`, `${text}@@@@`])(
    'is refused where they are none (%#)',
    (stdin) => {
      expect(() => fromJsonWithBytes(SendInputRequestSchema, { input: { stdin } })).toThrow(RangeError)
    },
  )

  it('is refused where it is of another shape', () => {
    for (const json of [[], 1, { input: [] }, { input: { stdin: text, pty: text } }] as JsonValue[]) {
      expect(() => fromJsonWithBytes(SendInputRequestSchema, json)).toThrow()
    }
  })
})
