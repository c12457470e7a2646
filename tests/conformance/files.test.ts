import { createHash, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Sandbox, sdks } from '../support/sdks.ts'
import { joinSharedServer, type SharedServer } from '../support/shared-server.ts'
import { proves } from './compat/proves.ts'

let server: SharedServer
beforeAll(async () => {
  server = await joinSharedServer()
})
afterAll(() => server[Symbol.asyncDispose]())

describe.each(sdks)('e2b $version: files', ({ sdk }) => {
  const { NotFoundError, InvalidArgumentError } = sdk
  let sandbox: Sandbox
  beforeAll(async () => {
    sandbox = await sdk.Sandbox.create({ timeoutMs: 600_000 })
  })
  afterAll(() => sandbox.kill())

  test('write and read in every format', proves('files.write', 'files.read'), async () => {
    const written = await sandbox.files.write('dir/hello.txt', 'Grüße')
    expect(written).toMatchObject({ name: 'hello.txt', type: 'file', path: '/home/user/dir/hello.txt' })
    expect(await sandbox.files.read('dir/hello.txt')).toBe('Grüße')
    expect(await sandbox.files.read('dir/hello.txt', { format: 'bytes' })).toEqual(
      new TextEncoder().encode('Grüße'),
    )
    expect(await (await sandbox.files.read('dir/hello.txt', { format: 'blob' })).text()).toBe('Grüße')
    const stream = await sandbox.files.read('dir/hello.txt', { format: 'stream' })
    expect(await new Response(stream).text()).toBe('Grüße')
  })

  test('an empty file, an overwritten file, a shorter one', proves('files.write', 'files.read'), async () => {
    await sandbox.files.write('empty', '')
    expect(await sandbox.files.read('empty')).toBe('')
    expect(await sandbox.files.read('empty', { format: 'bytes' })).toHaveLength(0)
    await sandbox.files.write('over', 'a longer text')
    await sandbox.files.write('over', 'short')
    expect(await sandbox.files.read('over')).toBe('short')
  })

  test('20 MB of bytes arrive unchanged both ways', proves('files.write', 'files.read'), async () => {
    const bytes = randomBytes(20 * 1024 * 1024)
    await sandbox.files.write('big.bin', new Blob([bytes]))
    const { stdout } = await sandbox.commands.run('sha256sum big.bin')
    expect(stdout.split(' ')[0]).toBe(createHash('sha256').update(bytes).digest('hex'))
    const back = await sandbox.files.read('big.bin', { format: 'bytes' })
    expect(Buffer.compare(Buffer.from(back), bytes)).toBe(0)
  })

  test('several files in one request, with names as they are', proves('files.write'), async () => {
    const written = await sandbox.files.write([
      { path: 'many/a.txt', data: 'A' },
      { path: '/tmp/ünï côdé.txt', data: 'B' },
    ])
    expect(written.map(({ path }) => path)).toEqual(['/home/user/many/a.txt', '/tmp/ünï côdé.txt'])
    expect(await sandbox.files.read('/tmp/ünï côdé.txt')).toBe('B')
  })

  test('owner, mode and parents belong to the user who asks', async () => {
    await sandbox.files.write('/srv/deep/down/f', 'x')
    const { stdout } = await sandbox.commands.run('stat -c "%U:%G %a" /srv/deep /srv/deep/down/f')
    expect(stdout).toBe('user:user 755\nuser:user 644\n')
    await sandbox.files.write('/srv/r', 'x', { user: 'root' })
    expect((await sandbox.commands.run('stat -c %U /srv/r')).stdout).toBe('root\n')
    expect((await sandbox.files.write('in-home', 'x', { user: 'root' })).path).toBe('/root/in-home')
  })

  test('getInfo, exists', proves('files.getInfo', 'files.exists'), async () => {
    await sandbox.files.write('info.txt', '12345')
    await sandbox.commands.run('ln -sf info.txt link && ln -sf nowhere dangling')
    const info = await sandbox.files.getInfo('info.txt')
    expect(info).toMatchObject({
      name: 'info.txt',
      type: 'file',
      path: '/home/user/info.txt',
      size: 5,
      mode: 0o644,
      permissions: '-rw-r--r--',
      owner: 'user',
      group: 'user',
    })
    expect(Math.abs((info.modifiedTime?.getTime() ?? 0) - Date.now())).toBeLessThan(60_000)
    expect(await sandbox.files.getInfo('link')).toMatchObject({
      type: 'file',
      symlinkTarget: '/home/user/info.txt',
    })
    expect(await sandbox.files.exists('info.txt')).toBe(true)
    expect(await sandbox.files.exists('nothing')).toBe(false)
    await expect(sandbox.files.getInfo('nothing')).rejects.toThrow(NotFoundError)
  })

  test('a tree deeper than any path is listed whole, and removed', async () => {
    const make = `import os
os.mkdir('deep'); os.chdir('deep')
for i in range(600): os.mkdir('d' * 10); os.chdir('d' * 10)`
    await sandbox.files.write('make.py', make)
    await sandbox.commands.run('python3 make.py')
    const entries = await sandbox.files.list('deep', { depth: 1000 })
    expect(entries).toHaveLength(600)
    expect(entries.at(-1)!.path).toBe(`/home/user/deep${`/${'d'.repeat(10)}`.repeat(600)}`)
    // What can't be watched whole is refused.
    await expect(sandbox.files.watchDir('deep', () => {}, { recursive: true })).rejects.toThrow(/too long/)
    await sandbox.files.remove('deep')
    expect(await sandbox.files.exists('deep')).toBe(false)
  })

  test(
    'makeDir, list, rename, remove',
    proves('files.makeDir', 'files.list', 'files.rename', 'files.remove'),
    async () => {
      expect(await sandbox.files.makeDir('tree/a/b')).toBe(true)
      expect(await sandbox.files.makeDir('tree/a/b')).toBe(false)
      await sandbox.files.write('tree/a/f', 'x')
      const flat = await sandbox.files.list('tree')
      expect(flat.map(({ name, type, path }) => ({ name, type, path }))).toEqual([
        { name: 'a', type: 'dir', path: '/home/user/tree/a' },
      ])
      const deep = await sandbox.files.list('tree', { depth: 3 })
      expect(deep.map(({ path }) => path)).toEqual([
        '/home/user/tree/a',
        '/home/user/tree/a/b',
        '/home/user/tree/a/f',
      ])
      expect((await sandbox.files.rename('tree/a/f', 'tree/moved/g')).path).toBe('/home/user/tree/moved/g')
      expect(await sandbox.files.read('tree/moved/g')).toBe('x')
      await sandbox.files.remove('tree')
      expect(await sandbox.files.exists('tree')).toBe(false)
      await sandbox.files.remove('tree')
      await expect(sandbox.files.list('tree')).rejects.toThrow(NotFoundError)
      await expect(sandbox.files.rename('tree', 'other')).rejects.toThrow(NotFoundError)
    },
  )

  test('a missing file, a directory, a full disk', async () => {
    await expect(sandbox.files.read('missing.txt')).rejects.toThrow(NotFoundError)
    await expect(sandbox.files.read('/home/user')).rejects.toThrow(InvalidArgumentError)
    await expect(sandbox.files.write('/home/user', 'x')).rejects.toThrow(InvalidArgumentError)
    // What is left of /dev/shm, which is half of the memory.
    await sandbox.commands.run('fallocate -l 240M /dev/shm/rest')
    const error = await sandbox.files
      .write('/dev/shm/full', new Blob([randomBytes(32 * 1024 * 1024)]))
      .catch((e) => e)
    expect(error).toBeInstanceOf(sdk.NotEnoughSpaceError)
    await sandbox.files.remove('/dev/shm/full')
    await sandbox.files.remove('/dev/shm/rest')
  })

  test('files of /proc, which have no size', async () => {
    expect(await sandbox.files.read('/proc/sys/kernel/random/boot_id')).toMatch(/^[0-9a-f-]{36}\n$/)
  })

  test('thirty files at once', async () => {
    const indexes = Array.from({ length: 30 }, (_, i) => i)
    await Promise.all(indexes.map((i) => sandbox.files.write(`p/${i}`, String(i))))
    expect(await Promise.all(indexes.map((i) => sandbox.files.read(`p/${i}`)))).toEqual(indexes.map(String))
  })
})
