/** Sandboxes without internet: nothing gets out, whatever becomes of them, and everything else goes on. */
import { randomInt } from 'node:crypto'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { neighbour, probe, reached, unreached } from '../../src/runtimes/docker/egress.fixture.ts'
import { type Sandbox, sdks } from '../support/sdks.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { proves } from './compat/proves.ts'

const address = `203.0.113.${randomInt(1, 250)}`
let next: Awaited<ReturnType<typeof neighbour>>
let server: TestServer
beforeAll(async () => {
  next = await neighbour([address])
  server = await startTestServer()
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
  await next[Symbol.asyncDispose]()
})

/** Whether it reaches a machine outside as root and as the stock user, and an answer about a name. */
async function egressOf(sandbox: Sandbox): Promise<'open' | 'closed' | 'neither'> {
  const commands = [
    probe(address, next.port),
    probe(address, next.port, 'user'),
    // Without such a name the answer is that there is none; without an answer it is "try again".
    'python3 -c "import socket\ntry: socket.getaddrinfo(\'name.invalid\', 80)\nexcept socket.gaierror as e: print(e.errno == socket.EAI_NONAME)"',
  ]
  const said = await Promise.all(commands.map(async (each) => (await sandbox.commands.run(each)).stdout))
  if (said.join() === [reached, reached, 'True\n'].join()) return 'open'
  return said.join() === [unreached, unreached, 'False\n'].join() ? 'closed' : 'neither'
}

/** The status of a server on port 8000 of the sandbox, which begins to listen. */
async function visit(sandbox: Sandbox): Promise<number> {
  await sandbox.commands.run('python3 -m http.server 8000', { background: true })
  const headers = { 'e2b-sandbox-id': sandbox.sandboxId, 'e2b-sandbox-port': '8000' }
  const status = async () => (await fetch(server.sandboxUrl, { headers })).status
  await expect.poll(status, { timeout: 10_000 }).toBe(200)
  return await status()
}

describe.each(sdks)('e2b $version: sandboxes without internet', ({ sdk: { Sandbox, ALL_TRAFFIC } }) => {
  test('allowInternetAccess: false, also after pauses, and while ports and files go on', async () => {
    const sandbox = await Sandbox.create({ allowInternetAccess: false })
    expect(await egressOf(sandbox)).toBe('closed')
    expect(await visit(sandbox)).toBe(200)
    await sandbox.files.write('note', 'here')
    await sandbox.pause()
    const resumed = await Sandbox.connect(sandbox.sandboxId)
    expect(await egressOf(resumed)).toBe('closed')
    const pause = {
      method: 'POST',
      headers: { 'X-API-Key': server.apiKey, 'Content-Type': 'application/json' },
    }
    const url = `${server.url}/sandboxes/${sandbox.sandboxId}/pause`
    expect((await fetch(url, { ...pause, body: '{"memory":false}' })).status).toBe(204)
    const booted = await Sandbox.connect(sandbox.sandboxId)
    expect(await egressOf(booted)).toBe('closed')
    expect(await booted.files.read('note')).toBe('here')
    await booted.kill()
  })

  test('network.denyOut with all traffic', async () => {
    const sandbox = await Sandbox.create({ network: { denyOut: [ALL_TRAFFIC] } })
    expect(await egressOf(sandbox)).toBe('closed')
    // A snapshot has files, and no rules: they are those of each create.
    const { snapshotId } = await sandbox.createSnapshot()
    const copy = await Sandbox.create(snapshotId)
    expect(await egressOf(copy)).toBe('open')
    await Promise.all([sandbox.kill(), copy.kill()])
    await Sandbox.deleteSnapshot(snapshotId)
  })
})

describe.each(sdks.slice(0, 1))(
  'e2b $version: egress of running sandboxes',
  ({ sdk: { Sandbox, ALL_TRAFFIC } }) => {
    test(
      'is closed and opened as a whole, forks are as their source, and shown by getInfo',
      proves('sandbox.updateNetwork', 'Sandbox.updateNetwork'),
      async () => {
        const sandbox = await Sandbox.create()
        expect(await egressOf(sandbox)).toBe('open')
        await sandbox.updateNetwork({ denyOut: [ALL_TRAFFIC] })
        expect(await egressOf(sandbox)).toBe('closed')
        expect(await sandbox.getInfo()).toMatchObject({ network: { denyOut: [ALL_TRAFFIC] } })
        const [fork] = await sandbox.fork()
        if (!(fork instanceof Sandbox)) throw fork
        expect(await egressOf(fork)).toBe('closed')
        await Sandbox.updateNetwork(sandbox.sandboxId, {})
        expect(await egressOf(sandbox)).toBe('open')
        expect(await egressOf(fork)).toBe('closed')
        await sandbox.updateNetwork({ allowInternetAccess: false })
        expect(await egressOf(sandbox)).toBe('closed')
        expect(await sandbox.getInfo()).toMatchObject({ allowInternetAccess: false })
        await Promise.all([sandbox.kill(), fork.kill()])
      },
    )

    test('stays closed when traffic wakes it', async () => {
      const lifecycle = { onTimeout: 'pause', autoResume: true } as const
      const sandbox = await Sandbox.create({ allowInternetAccess: false, lifecycle })
      await visit(sandbox)
      await sandbox.pause()
      const headers = { 'e2b-sandbox-id': sandbox.sandboxId, 'e2b-sandbox-port': '8000' }
      expect((await fetch(server.sandboxUrl, { headers })).status).toBe(200)
      expect((await sandbox.getInfo()).state).toBe('running')
      expect(await egressOf(sandbox)).toBe('closed')
      await sandbox.kill()
    })

    test('is what its record says after kill -9 of the server, also where that came before the effect', async () => {
      const [closed, open, closing] = await Promise.all([
        Sandbox.create({ allowInternetAccess: false }),
        Sandbox.create(),
        Sandbox.create(),
      ])
      await server.end('SIGKILL')
      const store = new Database(join(server.stateDir, 'e2b-server.db'))
      const intent = 'update sandboxes set allow_internet_access = 0 where id = ?'
      expect(store.prepare(intent).run(closing!.sandboxId).changes).toBe(1)
      store.close()
      await server.restart()
      const all = [closed!, open!, closing!]
      expect(await Promise.all(all.map(egressOf))).toEqual(['closed', 'open', 'closed'])
      await Promise.all(all.map((each) => each.kill()))
    })

    test('by lists isn’t there yet, and says so', async () => {
      const sandbox = await Sandbox.create()
      const lists = [
        { denyOut: ['8.8.8.8'] },
        { denyOut: [ALL_TRAFFIC], allowOut: ['1.1.1.1'] },
        { denyOut: [ALL_TRAFFIC], allowOut: ['example.com'] },
        { rules: { 'example.com': [{ transform: { headers: { a: 'b' } } }] } },
      ]
      for (const network of lists) {
        await expect(sandbox.updateNetwork(network)).rejects.toThrow(/501.*egressPolicy/)
        await expect(Sandbox.create({ network })).rejects.toThrow(/501.*egressPolicy/)
      }
      await expect(sandbox.updateNetwork({ denyOut: ['example.com'] })).rejects.toThrow(/400.*denyOut/)
      expect(await egressOf(sandbox)).toBe('open')
      await sandbox.kill()
    })
  },
)
