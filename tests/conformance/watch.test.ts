import { randomUUID } from 'node:crypto'
import type { FilesystemEvent } from 'e2b'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isDebugMode } from '../support/mode.ts'
import { type Sandbox, type Sdk, sdks } from '../support/sdks.ts'
import { joinSharedServer, type SharedServer } from '../support/shared-server.ts'
import { proves } from './compat/proves.ts'

let server: SharedServer
beforeAll(async () => {
  server = await joinSharedServer()
})
afterAll(() => server[Symbol.asyncDispose]())

type WatchOptions = NonNullable<Parameters<Sandbox['files']['watchDir']>[2]>

/** A watch of a folder of its own. */
async function startWatch(sandbox: Sandbox, options: WatchOptions = {}) {
  const folder = `/home/user/${randomUUID()}`
  await sandbox.files.makeDir(folder)
  const events: FilesystemEvent[] = []
  const handle = await sandbox.files.watchDir(folder, (event) => void events.push(event), options)
  return {
    folder,
    handle,
    events,
    /** What has been told up to now, as `<name> <type>`: a last directory marks the end of it. */
    async drain() {
      await sandbox.files.makeDir(`${folder}/zz-end`)
      await expect.poll(() => events.map(({ name }) => name), { timeout: 10_000 }).toContain('zz-end')
      return events.map(({ name, type }) => `${name} ${type}`).filter((text) => !text.startsWith('zz-end'))
    },
  }
}

describe.each(sdks)('e2b $version: watchDir', ({ sdk }: { sdk: Sdk }) => {
  let sandbox: Sandbox
  beforeAll(async () => {
    sandbox = await sdk.Sandbox.create({ timeoutMs: 600_000 })
  })
  afterAll(() => sandbox.kill())

  test('a new upload is exactly create, chmod, write', proves('files.watchDir'), async () => {
    const watch = await startWatch(sandbox)
    await sandbox.files.write(`${watch.folder}/new.txt`, 'content')
    expect(await watch.drain()).toEqual(['new.txt create', 'new.txt chmod', 'new.txt write'])
    await watch.handle.stop()
  })

  test('chmod, rename, removal', proves('files.watchDir'), async () => {
    const watch = await startWatch(sandbox)
    await sandbox.commands.run('touch f && chmod 600 f && mv f g && rm g', { cwd: watch.folder })
    const told = await watch.drain()
    expect(told).toEqual(expect.arrayContaining(['f create', 'f chmod', 'f rename', 'g create', 'g remove']))
    expect(told.indexOf('f create')).toBeLessThan(told.indexOf('f rename'))
    await watch.handle.stop()
  })

  test(
    'recursive: a directory of one request is watched when the next comes',
    proves('files.watchDir'),
    async () => {
      const watch = await startWatch(sandbox, { recursive: true })
      await sandbox.files.makeDir(`${watch.folder}/sub/deep`)
      await sandbox.files.write(`${watch.folder}/sub/deep/f`, 'x')
      expect(await watch.drain()).toEqual(
        expect.arrayContaining(['sub create', 'sub/deep/f create', 'sub/deep/f write']),
      )
      await watch.handle.stop()
    },
  )

  test('recursive: a tree that is moved in is watched whole', proves('files.watchDir'), async () => {
    const watch = await startWatch(sandbox, { recursive: true })
    const elsewhere = `/home/user/${randomUUID()}`
    await sandbox.files.makeDir(`${elsewhere}/inner`)
    await sandbox.files.rename(elsewhere, `${watch.folder}/moved`)
    await sandbox.files.write(`${watch.folder}/moved/inner/f`, 'x')
    expect(await watch.drain()).toEqual(expect.arrayContaining(['moved create', 'moved/inner/f write']))
    await watch.handle.stop()
  })

  test('without recursive, what happens below is not told', proves('files.watchDir'), async () => {
    const watch = await startWatch(sandbox)
    await sandbox.files.makeDir(`${watch.folder}/sub`)
    await sandbox.files.write(`${watch.folder}/sub/f`, 'x')
    expect(await watch.drain()).toEqual(['sub create', 'sub chmod'])
    await watch.handle.stop()
  })

  test('stop: nothing is told afterwards, and onExit has no error', proves('watchHandle.stop'), async () => {
    const exits: (Error | undefined)[] = []
    const watch = await startWatch(sandbox, { onExit: (error) => void exits.push(error) })
    await watch.handle.stop()
    await expect.poll(() => exits.length).toBe(1)
    await sandbox.files.write(`${watch.folder}/late`, 'x')
    await sandbox.files.list(watch.folder)
    expect(watch.events).toEqual([])
  })

  test('a timeout ends the watch with the SDK’s timeout error', proves('files.watchDir'), async () => {
    const exits: (Error | undefined)[] = []
    await startWatch(sandbox, { timeoutMs: 1_000, onExit: (error) => void exits.push(error) })
    await expect.poll(() => exits.length, { timeout: 5_000 }).toBe(1)
    expect(exits[0]).toBeInstanceOf(sdk.TimeoutError)
  })

  test('a missing directory and a file are refused', proves('files.watchDir'), async () => {
    const none = () => {}
    await expect(sandbox.files.watchDir('/home/user/missing', none)).rejects.toThrow(sdk.NotFoundError)
    await sandbox.files.write('/home/user/a-file', 'x')
    await expect(sandbox.files.watchDir('/home/user/a-file', none)).rejects.toThrow(sdk.InvalidArgumentError)
  })
})

describe.each(sdks.slice(0, 1))('e2b $version: watchDir, what newer releases add', ({ sdk }) => {
  test('includeEntry says what the thing is, where it still is', proves('files.watchDir'), async () => {
    const sandbox = await sdk.Sandbox.create({ timeoutMs: 300_000 })
    const watch = await startWatch(sandbox, { includeEntry: true })
    await sandbox.files.write(`${watch.folder}/f`, '12345', { metadata: { k: 'v' } })
    await watch.drain()
    const written = watch.events.findLast(({ name, type }) => name === 'f' && type === 'write')
    expect(written?.entry).toMatchObject({
      path: `${watch.folder}/f`,
      type: 'file',
      size: 5,
      owner: 'user',
      metadata: { k: 'v' },
    })
    await sandbox.files.remove(`${watch.folder}/f`)
    await expect.poll(() => watch.events.at(-1)).toMatchObject({ name: 'f', type: 'remove' })
    expect(watch.events.at(-1)?.entry).toBeUndefined()
    await sandbox.kill()
  })

  // In debug mode nothing kills the sandbox.
  if (!isDebugMode)
    test(
      'a kill of the sandbox ends the watch with the SDK’s own explanation',
      proves('files.watchDir'),
      async () => {
        const sandbox = await sdk.Sandbox.create({ timeoutMs: 300_000 })
        const exits: (Error | undefined)[] = []
        await startWatch(sandbox, { onExit: (error) => void exits.push(error) })
        await sandbox.kill()
        await expect.poll(() => exits.length, { timeout: 5_000 }).toBe(1)
        expect(exits[0]).toBeInstanceOf(sdk.TimeoutError)
        expect(exits[0]?.message).toContain('The sandbox was killed or reached its end of life')
      },
    )
})
