import { create, type DescMessage, toBinary, toJsonString } from '@bufbuild/protobuf'
import { describe, expect, it } from 'vitest'
import { SendInputRequestSchema, StartRequestSchema } from '../../wire/gen/envd/process/process_pb.ts'
import { type DecodeOptions, decodeMessage } from './decode-message.ts'
import type { Codec } from './envelope.ts'

/** Decodes, and says in how many turns of the event loop. */
async function decode<Desc extends DescMessage>(
  bytes: Uint8Array,
  options: Omit<DecodeOptions<Desc>, 'call'>,
) {
  let turns = 0
  const turn = async () => {
    turns++
    await new Promise((resolve) => setImmediate(resolve))
  }
  const message = await decodeMessage(Buffer.from(bytes), { call: { turn }, ...options })
  return { message, turns }
}

const start = (process: { args?: string[]; envs?: Record<string, string> }) =>
  create(StartRequestSchema, { process: { cmd: 'true', ...process } })
const encoded = (message: ReturnType<typeof start>, codec: Codec) =>
  codec === 'json'
    ? Buffer.from(toJsonString(StartRequestSchema, message))
    : toBinary(StartRequestSchema, message)

describe.each<Codec>(['json', 'proto'])('a message as %s', (codec) => {
  const schema = StartRequestSchema

  it('may have thousands of arguments and variables, and no more', async () => {
    const envs = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`V${i}`, 'x']))
    const args = (count: number) => Array<string>(count).fill('x')
    const many = start({ args: args(2400), envs: envs(2400) })
    expect((await decode(encoded(many, codec), { schema, codec })).message).toEqual(many)
    for (const more of [start({ args: args(5001) }), start({ envs: envs(5001) })]) {
      await expect(decode(encoded(more, codec), { schema, codec })).rejects.toThrow(/more than 5000/)
    }
  })

  it('is decoded at once where it is short, and else in turns, of which its caller has the last', async () => {
    expect(await decode(encoded(start({ args: ['x'] }), codec), { schema, codec })).toMatchObject({
      turns: 0,
    })
    const long = encoded(start({ args: Array<string>(16).fill('é'.repeat(60_000)) }), codec)
    expect(await decode(long, { schema, codec })).toMatchObject({ turns: codec === 'json' ? 3 : 2 })
  })

  it('that has bytes has hardly any text', async () => {
    const schema = SendInputRequestSchema
    const of = (tag: string) => {
      const message = create(schema, {
        process: { selector: { case: 'tag', value: tag } },
        input: { input: { case: 'stdin', value: Buffer.alloc(100_000, 'x') } },
      })
      return codec === 'json' ? Buffer.from(toJsonString(schema, message)) : toBinary(schema, message)
    }
    const options = { schema, codec, textMaxBytes: 10_000 }
    const { message } = await decode(of('a tag'), options)
    expect(message.process?.selector).toEqual({ case: 'tag', value: 'a tag' })
    expect(message.input?.input.value).toHaveLength(100_000)
    await expect(decode(of('é'.repeat(10_000)), options)).rejects.toThrow(/more than 10000|breaks off/)
  })
})
