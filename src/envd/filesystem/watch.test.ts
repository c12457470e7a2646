import { chmod, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Client, Code, ConnectError, createClient } from '@connectrpc/connect'
import { createConnectTransport } from '@connectrpc/connect-node'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startAgent, type TestAgent } from '../../../tests/support/agent.ts'
import { type EnvdServer, startEnvd } from '../../../tests/support/envd-server.ts'
import { frameBytes, startPeer } from '../../../tests/support/peer.ts'
import { frameType } from '../../guest/frames.ts'
import {
  EventType,
  Filesystem,
  type FilesystemEvent,
  FileType,
} from '../../wire/gen/envd/filesystem/filesystem_pb.ts'
import { callStream, envelopesOf, exchange, readEnvelopes } from '../wire.fixture.ts'

let agent: TestAgent
let server: EnvdServer

beforeAll(async () => {
  agent = await startAgent()
  server = await startEnvd(agent.guest)
})

afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
  await agent?.[Symbol.asyncDispose]()
})

let folder: string
let counter = 0

beforeEach(async () => {
  folder = join(agent.folder, `watched-${counter++}`)
  await mkdir(folder)
})

const at = (name: string) => join(folder, name)

function clientOf(url: string, useBinaryFormat = false): Client<typeof Filesystem> {
  return createClient(
    Filesystem,
    createConnectTransport({ baseUrl: url, httpVersion: '1.1', useBinaryFormat }),
  )
}

async function upload(path: string, body: string): Promise<void> {
  const response = await exchange(`${server.url}/files?${new URLSearchParams({ path })}`, {
    headers: { 'content-type': 'application/octet-stream' },
    body,
  })
  expect(response.status).toBe(200)
}

async function codeOf(promise: Promise<unknown>): Promise<[Code, string]> {
  const error = ConnectError.from(await promise.catch((thrown: unknown) => thrown))
  return [error.code, error.rawMessage]
}

const typeNames = new Map<number, string>(Object.entries(EventType).map(([name, type]) => [type, name]))
const told = ({ name, type }: FilesystemEvent) => [typeNames.get(type), name]
const triple = (name: string) => [
  ['CREATE', name],
  ['CHMOD', name],
  ['WRITE', name],
]

describe.each([
  ['JSON', false],
  ['binary', true],
])('watching in %s', (_, isBinary) => {
  let client: Client<typeof Filesystem>
  beforeAll(() => {
    client = clientOf(server.url, isBinary)
  })

  /** A stream of events whose start has come. */
  async function watch(request: Parameters<typeof client.watchDir>[0], signal?: AbortSignal) {
    const stream = client.watchDir(request, signal === undefined ? {} : { signal })
    const iterator = stream[Symbol.asyncIterator]()
    const next = async () => (await iterator.next()).value?.event
    expect((await next())?.case).toBe('start')
    return {
      next,
      async take(count: number): Promise<FilesystemEvent[]> {
        const events: FilesystemEvent[] = []
        while (events.length < count) {
          const event = await next()
          if (event?.case !== 'filesystem') throw new Error(`event is ${event?.case}`)
          events.push(event.value)
        }
        return events
      },
    }
  }

  it('streams what happens in a directory', async () => {
    const changes = await watch({ path: folder })
    await upload(at('new.txt'), 'content')
    expect((await changes.take(3)).map(told)).toEqual(triple('new.txt'))
    await client.move({ source: at('new.txt'), destination: at('moved.txt') })
    expect((await changes.take(2)).map(told)).toEqual([
      ['RENAME', 'new.txt'],
      ['CREATE', 'moved.txt'],
    ])
    await client.remove({ path: at('moved.txt') })
    expect((await changes.take(1)).map(told)).toEqual([['REMOVE', 'moved.txt']])
  })

  it('streams what happens below it, in directories that are new too', async () => {
    await mkdir(at('old'))
    const changes = await watch({ path: folder, recursive: true })
    await upload(at('old/a'), 'x')
    expect((await changes.take(3)).map(told)).toEqual(triple('old/a'))
    await client.makeDir({ path: at('new') })
    await upload(at('new/b'), 'x')
    const events = (await changes.take(5)).map(told)
    expect(events.filter(([, name]) => name === 'new/b')).toEqual(triple('new/b'))
    expect(events[0]).toEqual(['CREATE', 'new'])
  })

  it('describes files where that is asked for', async () => {
    const changes = await watch({ path: folder, includeEntry: true })
    await upload(at('a'), 'abc')
    const events = await changes.take(3)
    expect(events.at(-1)?.entry).toMatchObject({
      name: 'a',
      path: at('a'),
      type: FileType.FILE,
      size: 3n,
      permissions: '-rw-r--r--',
    })
    await client.remove({ path: at('a') })
    expect((await changes.take(1))[0]?.entry).toBeUndefined()
    const plain = await watch({ path: folder })
    await upload(at('b'), 'abc')
    expect((await plain.take(3)).map(({ entry }) => entry)).toEqual([undefined, undefined, undefined])
  })

  it('gathers what happens for those who ask', async () => {
    const { watcherId } = await client.createWatcher({ path: folder })
    const events = async () => (await client.getWatcherEvents({ watcherId })).events.map(told)
    expect(await events()).toEqual([])
    for (const name of ['a', 'b']) {
      await upload(at(name), 'x')
      expect(await events()).toEqual(triple(name))
    }
    expect(await events()).toEqual([])
    await chmod(at('a'), 0o600)
    expect(await events()).toEqual([['CHMOD', 'a']])
    await client.removeWatcher({ watcherId })
    const unknown = [Code.NotFound, `watcher with id ${watcherId} not found`]
    expect(await codeOf(client.getWatcherEvents({ watcherId }))).toEqual(unknown)
    expect(await codeOf(client.removeWatcher({ watcherId }))).toEqual(unknown)
  })

  it('gathers with entries and from below', async () => {
    const { watcherId } = await client.createWatcher({ path: folder, recursive: true, includeEntry: true })
    await client.makeDir({ path: at('sub/deep') })
    await upload(at('sub/deep/file'), 'abcd')
    const { events } = await client.getWatcherEvents({ watcherId })
    const last = events.at(-1)
    expect([told(last!), last?.entry?.size]).toEqual([['WRITE', 'sub/deep/file'], 4n])
    await client.removeWatcher({ watcherId })
  })

  it('says what cannot be watched', async () => {
    await writeFile(at('plain'), '')
    const first = async (path: string) => {
      for await (const event of client.watchDir({ path })) return event
    }
    const cases: [string, Code, string][] = [
      [at('missing'), Code.NotFound, `path '${at('missing')}' does not exist`],
      [at('plain'), Code.InvalidArgument, `path '${at('plain')}' is not a directory`],
    ]
    for (const [path, code, message] of cases) {
      expect(await codeOf(first(path))).toEqual([code, message])
      expect(await codeOf(client.createWatcher({ path }))).toEqual([code, message])
    }
    const headers = { authorization: `Basic ${Buffer.from('x:').toString('base64')}` }
    expect(await codeOf(client.createWatcher({ path: '/' }, { headers }))).toEqual([
      Code.Unauthenticated,
      "invalid username: 'x'",
    ])
  })

  it('stops with its client', async () => {
    const leaving = new AbortController()
    const changes = await watch({ path: folder }, leaving.signal)
    leaving.abort()
    expect((await codeOf(changes.next()))[0]).toBe(Code.Canceled)
  })
})

describe('WatchDir on the wire', () => {
  const url = () => `${server.url}/filesystem.Filesystem/WatchDir`

  it('is start, events and keepalives until the time limit ends it', async () => {
    const headers = { 'keepalive-ping-interval': '1', 'connect-timeout-ms': '1500' }
    const response = await callStream(url(), { path: folder }, headers)
    expect(response.headers['content-type']).toBe('application/connect+json')
    const envelopes = readEnvelopes(response)
    const next = async () => (await envelopes.next()).value
    expect(await next()).toEqual([0, '{"start":{}}'])
    await mkdir(at('d'))
    expect(await next()).toEqual([0, '{"filesystem":{"name":"d","type":"EVENT_TYPE_CREATE"}}'])
    expect(await next()).toEqual([0, '{"keepalive":{}}'])
    const [flags, end] = (await next()) ?? []
    expect([flags, JSON.parse(end ?? '')]).toMatchObject([2, { error: { code: 'deadline_exceeded' } }])
    expect(await next()).toBeUndefined()
  })

  it('is one end where there is nothing to watch', async () => {
    const envelopes = await envelopesOf(await callStream(url(), { path: at('none') }))
    expect(envelopes.map(([flags, text]) => [flags, JSON.parse(text)])).toEqual([
      [2, { error: { code: 'not_found', message: `path '${at('none')}' does not exist` } }],
    ])
  })

  it('tells once that the directory itself is gone, and lives on', async () => {
    const response = await callStream(url(), { path: folder }, { 'keepalive-ping-interval': '1' })
    const envelopes = readEnvelopes(response)
    await envelopes.next()
    await rm(folder, { recursive: true })
    expect((await envelopes.next()).value?.[1]).toBe('{"filesystem":{"name":".","type":"EVENT_TYPE_REMOVE"}}')
    expect((await envelopes.next()).value?.[1]).toBe('{"keepalive":{}}')
    await envelopes.return()
  })

  it('says that events were lost', async () => {
    const lost = { code: 'resource_exhausted', message: 'Events were lost. Read the directory again.' }
    const frames = [
      frameBytes(frameType.reply, {}),
      frameBytes(frameType.item, { events: [{ name: 'a', type: 'write' }] }),
      frameBytes(frameType.error, lost),
    ]
    await using peer = await startPeer((socket) => socket.end(Buffer.concat(frames)))
    await using other = await startEnvd(peer.guest)
    const response = await callStream(`${other.url}/filesystem.Filesystem/WatchDir`, { path: '/' })
    expect(await envelopesOf(response)).toEqual([
      [0, '{"start":{}}'],
      [0, '{"filesystem":{"name":"a","type":"EVENT_TYPE_WRITE"}}'],
      [2, JSON.stringify({ error: lost })],
    ])
  })

  it.each([
    ['an event of an unknown type', { events: [{ name: 'a', type: 'explode' }] }],
    ['no events', {}],
    ['an event without a name', { events: [{ type: 'write' }] }],
  ])('ends when an agent sends %s', async (_, item) => {
    await using peer = await startPeer((socket) => {
      socket.write(Buffer.concat([frameBytes(frameType.reply, {}), frameBytes(frameType.item, item)]))
    })
    await using other = await startEnvd(peer.guest)
    const response = await callStream(`${other.url}/filesystem.Filesystem/WatchDir`, { path: '/' })
    const last = (await envelopesOf(response)).at(-1)?.[1]
    expect(JSON.parse(last ?? '')).toMatchObject({ error: { code: 'internal' } })
  })

  it('lets go of the guest when its client leaves', async () => {
    await using peer = await startPeer((socket) => socket.write(frameBytes(frameType.reply, {})))
    await using other = await startEnvd(peer.guest)
    const response = await callStream(`${other.url}/filesystem.Filesystem/WatchDir`, { path: '/' })
    await readEnvelopes(response).next()
    const socket = await peer.connection()
    const closed = new Promise((resolve) => socket.once('end', resolve))
    response.destroy()
    await closed
  })
})
