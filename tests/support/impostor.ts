/** What has taken the agent's place: it answers with as much as a frame may have, of what costs most to read. */
import { frameType, longReplyMaxBytes } from '../../src/guest/frames.ts'
import { frameBytes, type Peer, startPeer } from './peer.ts'

const entry = {
  name: 'a',
  type: 'file',
  path: '/a',
  size: 1,
  mode: 0o644,
  permissions: '-rw-r--r--',
  owner: 'root',
  group: 'root',
  modifiedMs: 1,
}

const names = (count: number) => Array.from({ length: count }, (_, i) => `"k${i}":""`).join(',')
const withMetadata = JSON.stringify(entry).replace(/\}$/, `,"metadata":{${names(300_000)}}}`)

/** The longest text that begins, goes on and ends like that. */
function filled(head: string, part: string, tail: string, maxBytes = longReplyMaxBytes): string {
  return head + part.repeat(Math.floor((maxBytes - head.length - tail.length) / part.length)) + tail
}

/** By operation and, where it has one, the last part of its path. */
const payloads: Record<string, () => string> = {
  'list-dir objects': () => filled('{"entries":[', '{},', '{}]}'),
  'list-dir ignored': () => filled('{"x":[', '{},', '{}],"entries":[]}'),
  'list-dir fields': () => filled('{', '"x":1,', '"entries":[]}'),
  'list-dir metadata': () => `{"entries":[${withMetadata}]}`,
  'list-dir deep': () => `{"entries":[${filled('', '[', '')}`.slice(0, longReplyMaxBytes),
  'list-dir strings': () => filled('{"entries":["', '\\"', '"]}'),
  list: () => filled('{"process":{"pid":1,"cmd":"x","args":[', '"",', '""],"env":{}}}'),
  'watcher-events': () => filled('{"events":[', '{},', '{}]}'),
  watch: () => filled('{"events":[', '{},', '{}]}'),
  stat: () => filled('{"entry":[', '{},', '{}]}', 512 * 1024),
  metrics: () => filled('{"x":[', '[],', '[]]}', 512 * 1024),
}

const streams = ['list-dir', 'list', 'watch']

export function startImpostor(): Promise<Peer> {
  return startPeer((socket, request) => {
    const { op, path } = JSON.parse(request.subarray(5).toString()) as { op: string; path?: string }
    const payload = (payloads[op] ?? payloads[`${op} ${path?.split('/').at(-1)}`])?.() ?? '{}'
    const isStream = streams.includes(op)
    if (isStream) socket.write(frameBytes(frameType.reply, {}))
    socket.end(frameBytes(isStream ? frameType.item : frameType.reply, Buffer.from(payload)))
  })
}
