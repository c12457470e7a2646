/** An agent that has been replaced by whoever is root in its sandbox: its bytes cost an error, and nobody else anything. */
import { describe, expect, test } from 'vitest'
import { ServerError } from '../../src/domain/error.ts'
import { dial } from '../../src/guest/dial.ts'
import { exec } from '../../src/guest/exec.ts'
import { frameType } from '../../src/guest/frames.ts'
import { hello } from '../../src/guest/hello.ts'
import { list } from '../../src/guest/list.ts'
import { listDir } from '../../src/guest/list-dir.ts'
import { read } from '../../src/guest/read.ts'
import { stat } from '../../src/guest/stat.ts'
import { frameBytes, type Peer, startPeer } from '../support/peer.ts'

const signal = () => AbortSignal.timeout(30_000)
const json = (type: number, text: string) => frameBytes(type, Buffer.from(text))
const reply = (text: string) => json(frameType.reply, text)
const greeting = '{"protocol":1,"version":"1","boot":"b","configured":true,"processes":0}'
const length = (bytes: number, type: number) => {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(bytes)
  head[4] = type
  return head
}

const calls = {
  hello: (peer: Peer) => hello(peer.guest, signal()),
  stat: (peer: Peer) => stat(peer.guest, { path: '/a' }, signal()),
  async list(peer: Peer) {
    for await (const _process of await list(peer.guest, signal()));
  },
  async listDir(peer: Peer) {
    for await (const batch of await listDir(peer.guest, { path: '/', depth: 1 }, signal()))
      for (const _entry of batch);
  },
  dial: (peer: Peer) => dial(peer.guest, { port: 80 }, signal()),
  async read(peer: Peer) {
    const { body } = await read(peer.guest, { path: '/a' }, signal())
    for await (const _chunk of body);
  },
  async exec(peer: Peer) {
    const command = { cmd: 'true', args: [], env: {}, stdin: false }
    const { events } = await exec(peer.guest, command, signal())
    for await (const _event of events);
  },
}

const attempts: [string, keyof typeof calls, Buffer][] = [
  ['a length of 4 GiB', 'hello', length(0xffffffff, frameType.reply)],
  ['a length one past the longest', 'hello', length(4 * 1024 * 1024 + 1, frameType.reply)],
  ['an error of a megabyte', 'hello', length(1024 * 1024, frameType.error)],
  ['an unknown type', 'hello', frameBytes(0x7f, Buffer.from('x'))],
  ['a request', 'hello', json(frameType.request, '{"op":"hello"}')],
  ['input', 'hello', frameBytes(frameType.input, Buffer.from('x'))],
  ['output before a reply', 'exec', frameBytes(frameType.stdout, Buffer.from('x'))],
  ['an end before a reply', 'exec', json(frameType.end, '{}')],
  ['two replies', 'exec', Buffer.concat([reply('{"pid":5}'), reply('{"pid":6}')])],
  [
    'a file’s bytes from a process',
    'exec',
    Buffer.concat([reply('{"pid":5}'), frameBytes(frameType.data, Buffer.from('x'))]),
  ],
  ['an end without an outcome', 'exec', Buffer.concat([reply('{"pid":5}'), json(frameType.end, '{}')])],
  ['a process without a number', 'exec', reply('{}')],
  ['a process of a negative number', 'exec', reply('{"pid":-1}')],
  ['JSON of 100,000 levels', 'hello', reply('['.repeat(100_000))],
  ['JSON that is null', 'stat', reply('null')],
  ['JSON with a prototype', 'hello', reply(`{"__proto__":${greeting}}`)],
  ['bytes that aren’t UTF-8', 'hello', frameBytes(frameType.reply, Buffer.from([0x7b, 0xff, 0x7d]))],
  ['an error with a code of its own', 'stat', json(frameType.error, '{"code":"__proto__","message":"x"}')],
  ['an error that is a number', 'stat', json(frameType.error, '1')],
  ['an entry of another kind', 'stat', reply('{"entry":{"name":"a","type":"socket-of-mine"}}')],
  ['a size beyond integers', 'read', reply('{"entry":{"size":1e300},"hasSize":true}')],
  ['processes that are text', 'list', Buffer.concat([reply('{}'), json(frameType.item, '{"process":"x"}')])],
  [
    'entries that are numbers',
    'listDir',
    Buffer.concat([reply('{}'), json(frameType.item, '{"entries":[1,2,3]}')]),
  ],
  [
    'half a million empty entries',
    'listDir',
    Buffer.concat([reply('{}'), json(frameType.item, `{"entries":[${'{},'.repeat(500_000)}{}]}`)]),
  ],
  ['a stream that ends in the middle', 'read', length(100, frameType.data)],
  ['an unreadable reply to a dial', 'dial', reply('[')],
]

describe('an agent that answers', () => {
  test.each(attempts)('%s: an error', async (_name, call, bytes) => {
    await using peer = await startPeer((socket) => socket.end(bytes))
    const outcome = await calls[call](peer).then(
      () => undefined,
      (error: unknown) => error,
    )
    expect(outcome).toBeInstanceOf(ServerError)
  })

  test('as it should is heard', async () => {
    await using peer = await startPeer((socket) => socket.end(reply(greeting)))
    expect(await hello(peer.guest, signal())).toMatchObject({ version: '1' })
  })
})
