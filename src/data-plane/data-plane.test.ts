/** Both sides over a real unix socket pair. */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { DirectoryEntry } from '../domain/data-plane.ts'
import { ServerError } from '../domain/error.ts'
import { openIngress } from '../domain/live-sandbox.ts'
import type { StoredLogEntry } from '../domain/sandbox-log.ts'
import type { WorkerLoad } from '../domain/telemetry.ts'
import { silentLog } from '../lib/log.ts'
import { createFeed, type FeedParts } from './feed.ts'
import { messageMaxBytes } from './messages.ts'
import { createWorkerClient, type WorkerClient } from './worker-client.ts'

/** What every worker says of itself here. */
const load: WorkerLoad = {
  loopDelayMs: { mean: 0.5, max: 2.5 },
  cpuMs: 12.5,
  rssBytes: 1000,
  heapBytes: 500,
  requests: { api: 1, envd: 2, port: 3, refused: 4, upgrade: 5 },
}

const settings = {
  domain: null,
  credentials: null,
  maxConnections: 10,
  apiSocket: '/nowhere',
  logLevel: 'silent',
}

test('a worker is told what takes traffic before it is ready, and all changes in their order', async () => {
  await using plane = createPlane()
  plane.feed.admit(entryOf('a'), team)
  const worker = await plane.worker()
  expect(worker.seen).toEqual(['settings', 'admit a', 'synced'])
  plane.feed.admit(entryOf('b'), { teamId: 'team', fresh: true })
  plane.feed.admit(entryOf('b'), { teamId: 'team', fresh: true })
  await plane.feed.withdraw('a')
  expect(worker.seen.slice(3)).toEqual(['admit b fresh', 'withdraw a'])
  expect(plane.feed.ids()).toEqual(['b'])
  await plane.feed.withdraw('never there')
})

test('whoever is asked to catch up says when it has', async () => {
  await using plane = createPlane()
  await plane.worker()
  await plane.worker()
  await plane.feed.caughtUp()
})

test('a withdrawal waits for every worker, and not for one that has gone', async () => {
  await using plane = createPlane()
  plane.feed.admit(entryOf('a'), team)
  const [quick, slow] = [await plane.worker(), await plane.worker()]
  let isOver = false
  const withdrawn = plane.feed.withdraw('a').then(() => (isOver = true))
  await expect.poll(() => slow.seen).toContain('withdraw a')
  slow.hold()
  plane.feed.admit(entryOf('b'), team)
  const second = plane.feed.withdraw('b')
  await withdrawn
  expect(isOver).toBe(true)
  await expect.poll(() => quick.seen).toContain('withdraw b')
  await expect.poll(() => slow.seen).toContain('withdraw b')
  slow.socket.destroy()
  await second
})

test('questions are answered with an outcome, a typed error, or an end that nobody waits for', async () => {
  const aborted: string[] = []
  await using plane = createPlane({
    wake: async (id, request, signal) => {
      if (id === 'no') throw new ServerError('resource_exhausted', 'Full.', { retryAfterS: 7 })
      if (id !== 'slow') return request.accessToken === 'yes'
      await once(signal, 'abort')
      aborted.push(id)
      return false
    },
  })
  const { client } = await plane.worker()
  const ask = (id: string, accessToken?: string, signal = new AbortController().signal) =>
    client.wake(id, { port: 1, accessToken, trafficAccessToken: undefined }, signal)
  expect(await ask('a', 'yes')).toBe(true)
  expect(await ask('a', 'no')).toBe(false)
  await expect(ask('no')).rejects.toMatchObject({
    code: 'resource_exhausted',
    message: 'Full.',
    retryAfterS: 7,
  })
  const leaving = new AbortController()
  const left = ask('slow', undefined, leaving.signal)
  left.catch(() => {})
  await ask('a', 'yes')
  leaving.abort(new Error('left'))
  await expect(left).rejects.toThrow('left')
  await expect.poll(() => aborted).toEqual(['slow'])
})

test('lines of known sandboxes reach the log with their team; another’s are dropped', async () => {
  await using plane = createPlane()
  plane.feed.admit(entryOf('a'), team)
  const { client } = await plane.worker()
  for (const id of ['a', 'foreign']) client.writeLog(id, lineOf('hello'))
  await expect.poll(() => plane.written).toEqual([{ ...lineOf('hello'), sandboxId: 'a', teamId: 'team' }])
})

test('output beyond what is kept of a second stays in the worker, which tells how much that was', async () => {
  await using plane = createPlane()
  plane.feed.admit(entryOf('a'), team)
  const { client } = await plane.worker()
  const output = { ...lineOf('x'), fields: { logger: 'process', stream: 'stdout' } }
  for (let i = 0; i < 3500; i++) client.writeLog('a', output)
  client.writeLog('a', lineOf('process ended'))
  await expect.poll(() => plane.written.map(({ message }) => message)).toContain('process ended')
  const dropped = /^(\d+) entries came too fast and were dropped$/
  await expect.poll(() => plane.written.some(({ message }) => dropped.test(message))).toBe(true)
  const lines = plane.written.filter(({ message }) => message === 'x').length
  const told = plane.written.map(({ message }) => Number(dropped.exec(message)?.[1] ?? 0))
  expect(lines + told.reduce((sum, each) => sum + each, 0)).toBe(3500)
  expect(lines).toBeLessThan(3500)
})

test('what a worker that has gone was recording, another one records on', async () => {
  await using plane = createPlane()
  plane.feed.admit(entryOf('a'), team)
  const [first, second] = [await plane.worker(), await plane.worker()]
  const pid = (message: string, number: number) => ({
    ...lineOf(message),
    fields: { logger: 'process', pid: String(number) },
  })
  first.client.writeLog('a', pid('process started', 5))
  first.client.writeLog('a', pid('process started', 6))
  first.client.writeLog('a', pid('process ended', 6))
  await expect.poll(() => plane.written).toHaveLength(3)
  first.socket.destroy()
  await expect.poll(() => second.seen).toContain('record a 5')
})

test.each([
  ['a length beyond the longest message', lengthOf(messageMaxBytes + 1)],
  ['what is no JSON', framed('{')],
  ['a message of no type', framed('{}')],
  ['a text for a number', framed('{"type":"done","ref":"1"}')],
  ['a path for an id', framed('{"type":"wake","ref":1,"id":"../x","request":{"port":1}}')],
  ['a port beyond all', framed('{"type":"wake","ref":1,"id":"a","request":{"port":65536}}')],
  ['lines by the thousand', framed(`{"type":"log","lines":[${'0,'.repeat(1000)}0]}`)],
  ['a line with nested fields', framed(logOf('{"x":{}}'))],
  ['a load of no numbers', framed('{"type":"alive","load":{"loopDelayMs":{},"requests":{}}}')],
  ['a sign of life without a load', framed('{"type":"alive"}')],
  ['a worker of another release', framed('{"type":"ready","version":99}')],
])('a worker that says %s is given up, and the others go on', async (_, bytes) => {
  await using plane = createPlane()
  const good = await plane.worker()
  const bad = await plane.worker()
  bad.socket.write(bytes)
  await expect.poll(() => plane.ends).toHaveLength(1)
  expect(plane.ends[0]).toBeInstanceOf(Error)
  plane.feed.admit(entryOf('a'), team)
  await expect.poll(() => good.seen).toContain('admit a')
})

test('a sign of life says what the worker takes', async () => {
  await using plane = createPlane()
  await plane.worker()
  await expect.poll(() => plane.loads, { timeout: 10_000 }).toContainEqual(load)
})

const team = { teamId: 'team', fresh: false }

function entryOf(id: string): DirectoryEntry {
  return { id, accessToken: null, envVars: {}, ingress: openIngress, agent: { kind: 'unix', path: '/x' } }
}

function lineOf(message: string) {
  return { at: 1, level: 'info' as const, message, fields: { logger: 'process' } }
}

function logOf(fields: string): string {
  return `{"type":"log","lines":[{"id":"a","entry":{"at":1,"level":"info","message":"m","fields":${fields}}}]}`
}

function lengthOf(length: number): Buffer {
  const header = Buffer.alloc(4)
  header.writeUInt32BE(length)
  return header
}

function framed(json: string): Buffer {
  return Buffer.concat([lengthOf(Buffer.byteLength(json)), Buffer.from(json)])
}

interface TestWorker {
  client: WorkerClient
  socket: Socket
  seen: string[]
  /** From now on no withdrawal is over. */
  hold(): void
}

function createPlane({ wake = async () => false }: Partial<Pick<FeedParts, 'wake'>> = {}) {
  const written: StoredLogEntry[] = []
  const ends: (Error | undefined)[] = []
  const loads: WorkerLoad[] = []
  const feed = createFeed({ wake, logs: { write: (entry) => written.push(entry) }, log: silentLog })
  const folder = mkdtempSync(join(tmpdir(), 'e2b-data-plane-'))
  const sockets: Socket[] = []
  let count = 0

  const worker = async (): Promise<TestWorker> => {
    const server = createServer().listen(join(folder, String(count++)))
    await once(server, 'listening')
    const socket = connect(server.address() as string)
    const [owned] = (await once(server, 'connection')) as [Socket]
    server.close()
    sockets.push(socket, owned)
    const seen: string[] = []
    let held: Promise<void> | undefined
    const hold = () => {
      held = new Promise(() => {})
    }
    return new Promise((resolve) => {
      const client = createWorkerClient(socket, {
        load: () => load,
        onSettings: () => void seen.push('settings'),
        onAdmit: ({ id }, fresh) => void seen.push(`admit ${id}${fresh ? ' fresh' : ''}`),
        async onWithdraw(id) {
          seen.push(`withdraw ${id}`)
          await held
        },
        onSynced() {
          seen.push('synced')
          client.ready()
        },
        onRecord: (id, pids) => void seen.push(`record ${id} ${pids}`),
        onCredentials() {},
        onEnd() {},
      })
      feed.attach(owned, settings, {
        onReady: () => resolve({ client, socket, seen, hold }),
        onLoad: (told) => void loads.push(told),
        onEnd: (error) => void ends.push(error),
      })
    })
  }
  return {
    feed,
    written,
    ends,
    loads,
    worker,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
