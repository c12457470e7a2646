import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openConnection } from '../support/connection.ts'
import { isDomainMode } from '../support/mode.ts'
import { type Sandbox, sdks } from '../support/sdks.ts'
import { joinSharedServer, type SharedServer } from '../support/shared-server.ts'
import { proves } from './compat/proves.ts'

/** What older releases have for `create` with a deadline that pauses. */
interface BetaSandbox {
  betaCreate(options: { timeoutMs: number; autoPause: boolean }): Promise<Sandbox>
}

let server: SharedServer
beforeAll(async () => {
  server = await joinSharedServer()
})
afterAll(() => server[Symbol.asyncDispose]())

describe.each(sdks)('e2b $version: pause and resume', ({ sdk: { Sandbox, NotFoundError } }) => {
  test(
    'with memory: processes, ports, files and boot id are as they were, by the same object',
    proves('sandbox.pause', 'Sandbox.pause', 'sandbox.connect'),
    async () => {
      const sandbox = await Sandbox.create({ timeoutMs: 120_000, metadata: { kept: 'yes' } })
      const bootId = await bootIdOf(sandbox)
      const ticker = await sandbox.commands.run(
        'python3 -m http.server 8000 >/dev/null 2>&1 & i=0; while true; do i=$((i+1)); echo $i > ~/count; sleep 0.05; done',
        { background: true },
      )
      await expect.poll(() => answers(sandbox.sandboxId), { timeout: 10_000 }).toBe(200)
      const before = await sandbox.getInfo()

      await sandbox.pause()
      expect(await sandbox.isRunning()).toBe(false)
      expect(await answers(sandbox.sandboxId)).toBe(502)
      const paused = await Sandbox.getInfo(sandbox.sandboxId)
      expect(paused).toMatchObject({ state: 'paused', metadata: { kept: 'yes' } })
      // A second pause says that there was nothing to do.
      expect(await Sandbox.pause(sandbox.sandboxId)).toBe(false)

      await sandbox.connect({ timeoutMs: 90_000 })
      expect(await sandbox.isRunning()).toBe(true)
      expect(await bootIdOf(sandbox)).toBe(bootId)
      expect((await sandbox.commands.list()).map(({ pid }) => pid)).toContain(ticker.pid)
      const count = Number(await sandbox.files.read('count'))
      await expect.poll(async () => Number(await sandbox.files.read('count')) > count).toBe(true)
      expect(await answers(sandbox.sandboxId)).toBe(200)
      const after = await sandbox.getInfo()
      expect(after.state).toBe('running')
      expect(after.startedAt.getTime()).toBeGreaterThan(before.startedAt.getTime())
      expect(after.endAt.getTime() - after.startedAt.getTime()).toBe(90_000)
      await sandbox.kill()
    },
  )

  test('without memory: files are kept, processes are gone, the boot is another', async () => {
    const sandbox = await Sandbox.create({ timeoutMs: 120_000 })
    const bootId = await bootIdOf(sandbox)
    await sandbox.files.write('kept.txt', 'on disk')
    await sandbox.commands.run('sleep 1000', { background: true })
    // Older clients know one kind of pause only, so it is asked for as they would if they knew.
    const url = `${server.url}/sandboxes/${sandbox.sandboxId}/pause`
    const headers = { 'x-api-key': server.apiKey, 'content-type': 'application/json' }
    const { status } = await fetch(url, { method: 'POST', headers, body: '{"memory":false}' })
    expect(status).toBe(204)
    await sandbox.connect()
    expect(await sandbox.files.read('kept.txt')).toBe('on disk')
    expect(await sandbox.commands.list()).toEqual([])
    expect((await sandbox.commands.run('pgrep -c sleep || true')).stdout).toBe('0\n')
    expect(await bootIdOf(sandbox)).not.toBe(bootId)
    await sandbox.kill()
  })

  test('a paused sandbox is listed as paused, in its place, and can be killed', async () => {
    const mark = String(Math.random())
    const first = await Sandbox.create({ metadata: { mark } })
    const second = await Sandbox.create({ metadata: { mark } })
    await first.pause()
    const list = async (state: ('running' | 'paused')[]) =>
      (await Sandbox.list({ query: { metadata: { mark }, state } }).nextItems()).map(
        ({ sandboxId, state }) => `${state} ${sandboxId}`,
      )
    expect(await list(['paused'])).toEqual([`paused ${first.sandboxId}`])
    expect(await list(['running'])).toEqual([`running ${second.sandboxId}`])
    expect(await list(['running', 'paused'])).toEqual([
      `running ${second.sandboxId}`,
      `paused ${first.sandboxId}`,
    ])
    expect(await Sandbox.kill(first.sandboxId)).toBe(true)
    expect(await Sandbox.kill(first.sandboxId)).toBe(false)
    await expect(Sandbox.getInfo(first.sandboxId)).rejects.toThrow(NotFoundError)
    await second.kill()
  })

  test(
    'a deadline that pauses: the sandbox is paused by it, traffic does not wake it, connect does',
    proves('Sandbox.betaCreate', 'Sandbox.betaPause', 'sandbox.betaPause'),
    async () => {
      const sandbox =
        'betaCreate' in Sandbox
          ? await (Sandbox as unknown as BetaSandbox).betaCreate({ timeoutMs: 2_000, autoPause: true })
          : await Sandbox.create({ timeoutMs: 2_000, lifecycle: { onTimeout: 'pause' } })
      await sandbox.files.write('mine', 'x')
      await expect
        .poll(async () => (await Sandbox.getInfo(sandbox.sandboxId)).state, { timeout: 8_000 })
        .toBe('paused')
      expect(await sandbox.isRunning()).toBe(false)
      expect((await Sandbox.getInfo(sandbox.sandboxId)).state).toBe('paused')
      const again = await Sandbox.connect(sandbox.sandboxId, { timeoutMs: 60_000 })
      expect(await again.files.read('mine')).toBe('x')
      expect(await Sandbox.betaPause(sandbox.sandboxId)).toBe(true)
      expect(await again.betaPause()).toBe(false)
      await again.kill()
    },
  )

  test(
    'snapshots: the source goes on, sandboxes are made of them, they are listed and deleted',
    proves(
      'sandbox.createSnapshot',
      'Sandbox.createSnapshot',
      'Sandbox.listSnapshots',
      'sandbox.listSnapshots',
      'snapshotPaginator.nextItems',
      'Sandbox.deleteSnapshot',
    ),
    async () => {
      // Older clients don't name snapshots.
      const names = Sandbox === sdks[0]!.sdk.Sandbox
      const source = await Sandbox.create({ timeoutMs: 300_000 })
      await source.files.write('state.txt', 'one')
      await source.commands.run('sleep 1000', { background: true })
      const snapshot = await source.createSnapshot(names ? { name: 'My-Snap' } : {})
      if (names) {
        expect(snapshot.names).toEqual([snapshot.snapshotId.replace(/:default$/, '')])
        expect(snapshot.snapshotId).toMatch(/^[a-z0-9-]+\/my-snap:default$/)
      }
      expect((await source.commands.list()).length).toBe(1)
      await source.files.write('state.txt', 'two')

      const copy = await Sandbox.create(snapshot.snapshotId, { timeoutMs: 300_000 })
      expect(await copy.files.read('state.txt')).toBe('one')
      expect(copy.sandboxId).not.toBe(source.sandboxId)
      expect(await source.files.read('state.txt')).toBe('two')

      const unnamed = await Sandbox.createSnapshot(source.sandboxId)
      expect(unnamed.snapshotId).toMatch(/^[a-z0-9]{20}:default$/)
      const listed = await source.listSnapshots().nextItems()
      expect(listed.map(({ snapshotId }) => snapshotId)).toEqual([unnamed.snapshotId, snapshot.snapshotId])
      if (names) {
        expect(await Sandbox.listSnapshots({ name: 'my-snap' }).nextItems()).toHaveLength(1)
        expect(await Sandbox.listSnapshots({ name: 'no-such-snap' }).nextItems()).toEqual([])
      }
      const pages = Sandbox.listSnapshots({ sandboxId: source.sandboxId, limit: 1 })
      expect((await pages.nextItems())[0]?.snapshotId).toBe(unnamed.snapshotId)
      expect(pages.hasNext).toBe(true)
      expect((await pages.nextItems())[0]?.snapshotId).toBe(snapshot.snapshotId)
      expect(pages.hasNext).toBe(false)

      // While sandboxes are made of it, it stays.
      await expect(Sandbox.deleteSnapshot(snapshot.snapshotId)).rejects.toThrow(/paused or running/)
      await copy.kill()
      expect(await Sandbox.deleteSnapshot(snapshot.snapshotId)).toBe(true)
      expect(await Sandbox.deleteSnapshot(snapshot.snapshotId)).toBe(false)
      expect(await Sandbox.deleteSnapshot(unnamed.snapshotId)).toBe(true)
      await expect(Sandbox.create(snapshot.snapshotId)).rejects.toThrow(/404/)
      await source.kill()
    },
  )

  test('a killed sandbox can’t be paused', async () => {
    await expect(Sandbox.pause('inonexistingsandbox00')).rejects.toThrow(NotFoundError)
  })
})

describe.each(sdks.slice(0, 1))('e2b $version: lifecycle', ({ sdk: { Sandbox, NotFoundError } }) => {
  test('traffic wakes a sandbox that allows it, waits for it, and gives it five minutes', async () => {
    const sandbox = await Sandbox.create({
      timeoutMs: 60_000,
      lifecycle: { onTimeout: 'pause', autoResume: true },
    })
    expect((await sandbox.getInfo()).lifecycle).toEqual({ autoResume: true, onTimeout: 'pause' })
    // Nothing that the SDK hears of: it asks for the sandbox's health when a command is cut off, which wakes it too.
    await sandbox.commands.run('setsid python3 -m http.server 8000 > /dev/null 2>&1 &')
    await expect.poll(() => answers(sandbox.sandboxId), { timeout: 10_000 }).toBe(200)
    // Only now: an answer after the deadline would be a wake.
    await sandbox.setTimeout(1_000)
    await expect
      .poll(async () => (await Sandbox.getInfo(sandbox.sandboxId)).state, { timeout: 10_000 })
      .toBe('paused')
    expect(await answers(sandbox.sandboxId)).toBe(200)
    const woken = await sandbox.getInfo()
    expect(woken.state).toBe('running')
    expect(woken.endAt.getTime() - woken.startedAt.getTime()).toBe(300_000)
    await sandbox.kill()
  })

  test('a reboot instead of the memory that is kept', async () => {
    const sandbox = await Sandbox.create({ timeoutMs: 60_000 })
    const bootId = await bootIdOf(sandbox)
    await sandbox.commands.run('sleep 1000', { background: true })
    await sandbox.pause({ keepMemory: true })
    const again = await Sandbox.connect(sandbox.sandboxId, { onResume: 'reboot' })
    expect(await bootIdOf(again)).not.toBe(bootId)
    expect(await again.commands.list()).toEqual([])
    await again.kill()
  })

  test('a kill, and a deadline that is moved, don’t wait for a snapshot', async () => {
    const sandbox = await Sandbox.create({ timeoutMs: 120_000 })
    await sandbox.commands.run('yes | head -c 800000000 > big; sync', { timeoutMs: 60_000 })
    const copying = sandbox.createSnapshot().then(
      () => 'done',
      (error: Error) => error.message,
    )
    await new Promise((resolve) => setTimeout(resolve, 300))
    const begun = performance.now()
    await sandbox.setTimeout(300_000)
    expect(performance.now() - begun).toBeLessThan(5_000)
    expect(await sandbox.kill()).toBe(true)
    expect(performance.now() - begun).toBeLessThan(15_000)
    expect(await sandbox.isRunning()).toBe(false)
    expect(await copying).toContain('not found')
  })

  test('a hundred pauses at once all succeed', async () => {
    const sandbox = await Sandbox.create()
    const outcomes = await atOnce(100, [
      `POST /sandboxes/${sandbox.sandboxId}/pause HTTP/1.1`,
      `Host: ${new URL(server.url).host}`,
      `X-API-Key: ${server.apiKey}`,
      'Content-Length: 0',
      'Connection: close',
    ])
    expect(new Set(outcomes)).toEqual(new Set(['HTTP/1.1 204 No Content']))
    expect(await Sandbox.pause(sandbox.sandboxId)).toBe(false)
    await sandbox.kill()
  })

  test(
    'forks: each its own sandbox, with the files and settings of the source, which goes on',
    proves('sandbox.fork', 'Sandbox.fork'),
    async () => {
      const source = await Sandbox.create({ metadata: { of: 'source' }, envs: { COLOUR: 'green' } })
      await source.files.write('state.txt', 'shared')
      const background = await source.commands.run('sleep 1000', { background: true })
      const forks = await source.fork({ count: 3, timeoutMs: 120_000 })
      const sandboxes = forks.map((fork) => {
        if (fork instanceof Error) throw fork
        return fork
      })
      expect(new Set([source.sandboxId, ...sandboxes.map(({ sandboxId }) => sandboxId)]).size).toBe(4)
      for (const fork of sandboxes) {
        expect(await fork.files.read('state.txt')).toBe('shared')
        expect((await fork.commands.run('echo $COLOUR')).stdout).toBe('green\n')
        expect((await fork.getInfo()).metadata).toEqual({ of: 'source' })
        await fork.files.write('state.txt', fork.sandboxId)
      }
      expect(await source.files.read('state.txt')).toBe('shared')
      expect((await source.commands.list()).map(({ pid }) => pid)).toEqual([background.pid])
      expect(await Sandbox.listSnapshots().nextItems()).toEqual([])
      await Promise.all([source, ...sandboxes].map((sandbox) => sandbox.kill()))
      await expect(Sandbox.fork(source.sandboxId)).rejects.toThrow(NotFoundError)
    },
  )

  test('the network of a sandbox that is gone is not found', async () => {
    const sandbox = await Sandbox.create()
    await sandbox.kill()
    await expect(sandbox.updateNetwork({})).rejects.toThrow(NotFoundError)
  })

  // An engine that has much else to do takes more than a minute to start and end so many.
  const many = { timeout: 240_000 }
  test(
    'fifty sandboxes paused and resumed side by side keep files, processes and boot ids',
    many,
    async () => {
      const sandboxes: Sandbox[] = []
      for (let batch = 0; batch < 5; batch++) {
        const started = Array.from({ length: 10 }, () => Sandbox.create({ timeoutMs: 600_000 }))
        sandboxes.push(...(await Promise.all(started)))
      }
      const before = await Promise.all(
        sandboxes.map(async (sandbox, i) => {
          await sandbox.files.write('mine', String(i))
          const { pid } = await sandbox.commands.run('sleep 1000', { background: true })
          return { pid, bootId: await bootIdOf(sandbox) }
        }),
      )
      await Promise.all(sandboxes.map((sandbox) => sandbox.pause()))
      await Promise.all(sandboxes.map((sandbox) => sandbox.connect({ timeoutMs: 300_000 })))
      await Promise.all(
        sandboxes.map(async (sandbox, i) => {
          expect(await sandbox.files.read('mine')).toBe(String(i))
          expect((await sandbox.commands.list()).map(({ pid }) => pid)).toEqual([before[i]!.pid])
          expect(await bootIdOf(sandbox)).toBe(before[i]!.bootId)
        }),
      )
      await Promise.all(sandboxes.map((sandbox) => sandbox.kill()))
    },
  )
})

/**
 * The status lines of that many requests at the same moment: each has its connection and has been sent but for its last
 * bytes, which then go out one directly after the other.
 */
async function atOnce(count: number, head: string[]): Promise<string[]> {
  const sockets = await Promise.all(
    Array.from({ length: count }, async () => {
      const socket = openConnection(server.url)
      await once(socket, isDomainMode ? 'secureConnect' : 'connect')
      socket.write(`${head.join('\r\n')}\r\n`)
      return socket
    }),
  )
  const answers = sockets.map(async (socket) => Buffer.concat(await socket.toArray()).toString())
  for (const socket of sockets) socket.write('\r\n')
  return (await Promise.all(answers)).map((answer) => answer.split('\r\n')[0] ?? '')
}

async function bootIdOf(sandbox: {
  files: { read(path: string): Promise<string> }
  commands: { run(command: string): Promise<{ stdout: string }> }
}): Promise<string> {
  const path = '/proc/sys/kernel/random/boot_id'
  const seen = await sandbox.files.read(path)
  expect((await sandbox.commands.run(`cat ${path}`)).stdout).toBe(seen)
  return seen.trim()
}

/** The status of the page that a sandbox serves on port 8000. */
async function answers(sandboxId: string): Promise<number> {
  const headers = { 'e2b-sandbox-id': sandboxId, 'e2b-sandbox-port': '8000' }
  return (await fetch(server.sandboxUrl, { headers })).status
}
