import { type DescMessage, fromJson, type JsonValue } from '@bufbuild/protobuf'
import { describe, expect, it } from 'vitest'
import { SendInputRequestSchema, StreamInputRequestSchema } from '../../wire/gen/envd/process/process_pb.ts'
import { cutLongBytes, fromCutJson } from './json-bytes.ts'

const long = Buffer.from(Array.from({ length: 10_000 }, (_, i) => (i * 7) % 256))
const text = long.toString('base64')
const restMaxBytes = 20_000

function decode<Desc extends DescMessage>(schema: Desc, json: string) {
  const { rest, pieces } = cutLongBytes(Buffer.from(json), restMaxBytes)
  return fromCutJson(schema, JSON.parse(rest.toString()), pieces)
}

describe('a message with long bytes', () => {
  it.each<JsonValue>([
    { process: { pid: 3 }, input: { stdin: text } },
    { input: { pty: text }, more: [text, { [text]: text }] },
    { input: { stdin: long.toString('base64url') } },
    { input: { stdin: 'eA==' }, process: { tag: 'quote " and backslash \\' } },
    { 'a"b\\': '\\"', input: { stdin: text }, 'é\u0001': '"'.repeat(500) },
    { input: null },
    {},
  ])('is what the general decoder makes of it (%#)', (json) => {
    const expected = fromJson(SendInputRequestSchema, json, { ignoreUnknownFields: true })
    for (const space of [0, 2]) {
      const message = decode(SendInputRequestSchema, JSON.stringify(json, null, space))
      expect(message.process).toEqual(expected.process)
      expect(message.input?.input.case).toBe(expected.input?.input.case)
      const [bytes, wanted] = [message.input?.input.value, expected.input?.input.value]
      expect(Buffer.from(bytes ?? []).equals(Buffer.from(wanted ?? []))).toBe(true)
    }
  })

  it('has them at any level', () => {
    const json = JSON.stringify({ data: { input: { stdin: text } } })
    const { event } = decode(StreamInputRequestSchema, json)
    if (event.case !== 'data') throw new Error('not data')
    expect(Buffer.from(event.value.input?.input.value ?? []).equals(long)).toBe(true)
  })

  it.each([
    ['a character that is none', { input: { stdin: `${text.slice(0, 6000)}!${text.slice(6000)}` } }],
    ['another length', { input: { stdin: `${text}@@@@` } }],
    ['a text in its place', { process: { tag: text.repeat(2) }, input: { stdin: text } }],
    ['what looks as if it had been cut', { input: { stdin: '\0' + '5' }, more: text }],
    ['a list', []],
    ['a number', 1],
    ['a list of inputs', { input: [text] }],
    ['two inputs', { input: { stdin: text, pty: text } }],
  ] as [string, JsonValue][])('is refused with %s', (_what, json) => {
    expect(() => decode(SendInputRequestSchema, JSON.stringify(json))).toThrow()
  })

  it.each([
    ['spaces', `{"input":${' '.repeat(restMaxBytes)}{"stdin":"${text}"}}`],
    ['digits', `{"more":${'1'.repeat(restMaxBytes)},"input":{"stdin":"${text}"}}`],
    ['text', JSON.stringify({ more: 'é'.repeat(restMaxBytes), input: { stdin: text } })],
    ['escapes', JSON.stringify({ more: '\\"'.repeat(restMaxBytes), input: { stdin: text } })],
    ['short strings', JSON.stringify({ more: Array(restMaxBytes / 4).fill('x'), input: { stdin: text } })],
    ['text without an end', `{"input":{"stdin":"${text}"},"more":"${'x'.repeat(restMaxBytes)}`],
  ])('is refused with too much besides: %s', (_what, json) => {
    expect(() => cutLongBytes(Buffer.from(json), restMaxBytes)).toThrow(/more than 20000|breaks off/)
  })
})
