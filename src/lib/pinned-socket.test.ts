import { once } from 'node:events'
import { mkdtemp, rm, symlink, unlink, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { awaitListener, pinSocket } from './pinned-socket.ts'

const never = new AbortController().signal
let directory: string
let servers: Server[]

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pinned-'))
  servers = []
})

afterEach(async () => {
  for (const server of servers) await new Promise((resolve) => server.close(resolve))
  await rm(directory, { recursive: true, force: true })
})

/** A listener that greets with its name and hangs up. */
async function listen(name: string): Promise<string> {
  const path = join(directory, name)
  const server = createServer((socket) => {
    // A client that leaves without reading resets the connection.
    socket.on('error', () => {})
    socket.end(name)
  })
  servers.push(server)
  server.listen(path)
  await once(server, 'listening')
  return path
}

async function greeting(path: { connect(signal: AbortSignal): Promise<AsyncIterable<Buffer>> }) {
  const chunks: Buffer[] = []
  for await (const chunk of await path.connect(never)) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

test('connects to the socket it saw, also after the path has become another one', async () => {
  const path = await listen('honest')
  const planted = await listen('planted')
  const pinned = await pinSocket(path)
  expect(await greeting(pinned)).toBe('honest')
  await unlink(path)
  await symlink(planted, path)
  expect(await greeting(pinned)).toBe('honest')
  await pinned.close()
})

test('refuses a symbolic link to a socket', async () => {
  const target = await listen('target')
  await symlink(target, join(directory, 'link'))
  await expect(pinSocket(join(directory, 'link'))).rejects.toMatchObject({ code: 'ENOTSOCK' })
})

test('refuses a file, a directory and nothing', async () => {
  await writeFile(join(directory, 'file'), '')
  await expect(pinSocket(join(directory, 'file'))).rejects.toMatchObject({ code: 'ENOTSOCK' })
  await expect(pinSocket(directory)).rejects.toMatchObject({ code: 'ENOTSOCK' })
  await expect(pinSocket(join(directory, 'nothing'))).rejects.toMatchObject({ code: 'ENOENT' })
})

test('works below paths longer than a socket address', async () => {
  const path = await listen('short')
  const pinned = await pinSocket(join(directory, './'.repeat(100), 'short'))
  expect(await greeting(pinned)).toBe('short')
  await pinned.close()
  expect(path.length).toBeLessThan(108)
})

test('says ECONNREFUSED once nobody listens, and after it was let go', async () => {
  const path = await listen('leaving')
  // Node removes the path when it stops listening; the inode is what counts.
  const pinned = await pinSocket(path)
  await new Promise((resolve) => servers.pop()?.close(resolve))
  await expect(pinned.connect(never)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  await pinned.close()
  await pinned.close()
  await expect(pinned.connect(never)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
})

test('an aborted signal ends the attempt', async () => {
  const pinned = await pinSocket(await listen('any'))
  await expect(pinned.connect(AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough')
  await pinned.close()
})

test('awaits a listener that comes later, past a stale socket and a planted link', async () => {
  const path = join(directory, 'late')
  const stale = await pinSocket(await listen('stale'))
  await symlink(join(directory, 'stale'), path)
  const awaited = awaitListener(path, never)
  await unlink(path)
  await listen('late')
  const pinned = await awaited
  expect(await greeting(pinned)).toBe('late')
  await pinned.close()
  await stale.close()
})

test('awaiting a listener ends with the signal', async () => {
  const leaving = new AbortController()
  const awaited = awaitListener(join(directory, 'never'), leaving.signal)
  leaving.abort(new Error('enough'))
  await expect(awaited).rejects.toThrow('enough')
})
