/** The ways of `files.read` and `files.write` that files.test.ts doesn't take. */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Sandbox, sdks } from '../support/sdks.ts'
import { joinSharedServer, type SharedServer } from '../support/shared-server.ts'
import { proves } from './compat/proves.ts'

let server: SharedServer
beforeAll(async () => {
  server = await joinSharedServer()
})
afterAll(() => server[Symbol.asyncDispose]())

/** A body whose length isn't known before it ends. */
function streamOf(bytes: Uint8Array): ReadableStream {
  return new Blob([bytes]).stream()
}

describe.each(sdks)('e2b $version: transfers', ({ sdk }) => {
  let sandbox: Sandbox
  beforeAll(async () => {
    sandbox = await sdk.Sandbox.create({ timeoutMs: 600_000 })
  })
  afterAll(() => sandbox.kill())

  test('write takes text, an ArrayBuffer, a Blob, a stream', proves('files.write'), async () => {
    const text = 'Grüße\n'.repeat(1000)
    const bytes = new TextEncoder().encode(text)
    for (const data of [text, bytes.buffer as ArrayBuffer, new Blob([bytes]), streamOf(bytes)]) {
      await sandbox.files.write('any', data)
      expect(await sandbox.files.read('any')).toBe(text)
    }
  })

  test('write as octet-stream and with gzip', proves('files.write'), async () => {
    const text = 'compressible '.repeat(10_000)
    const options = [{ useOctetStream: true }, { gzip: true }, { gzip: true, useOctetStream: true }]
    for (const option of options) {
      const written = await sandbox.files.write('way', text, option)
      expect(written).toMatchObject({ name: 'way', path: '/home/user/way', type: 'file' })
      expect((await sandbox.files.getInfo('way')).size).toBe(text.length)
      expect(await sandbox.files.read('way')).toBe(text)
    }
    await sandbox.files.write('/root/way', text, { useOctetStream: true, user: 'root' })
    expect((await sandbox.files.getInfo('/root/way', { user: 'root' })).owner).toBe('root')
  })

  test('a stream goes in and comes out by octet-stream', proves('files.write', 'files.read'), async () => {
    const bytes = randomBytes(3 * 1024 * 1024)
    await sandbox.files.write('streamed', streamOf(bytes), { useOctetStream: true })
    const stream = await sandbox.files.read('streamed', { format: 'stream' })
    const back = Buffer.from(await new Response(stream).arrayBuffer())
    expect(back.equals(bytes)).toBe(true)
  })

  test('read with gzip in every format', proves('files.read'), async () => {
    const text = 'compressible '.repeat(10_000)
    await sandbox.files.write('zip', text)
    const options = { gzip: true } as const
    expect(await sandbox.files.read('zip', options)).toBe(text)
    const bytes = await sandbox.files.read('zip', { ...options, format: 'bytes' })
    expect(new TextDecoder().decode(bytes)).toBe(text)
    const stream = await sandbox.files.read('zip', { ...options, format: 'stream' })
    expect(await new Response(stream).text()).toBe(text)
  })

  test('writeFiles: many files, in the order given', proves('files.writeFiles'), async () => {
    const files = Array.from({ length: 40 }, (_, i) => ({ path: `many/${i % 7}/${i}`, data: `${i}` }))
    const written = await sandbox.files.writeFiles(files)
    expect(written.map(({ path }) => path)).toEqual(files.map(({ path }) => `/home/user/${path}`))
    expect(await Promise.all(files.map(({ path }) => sandbox.files.read(path)))).toEqual(
      files.map(({ data }) => data),
    )
    expect(await sandbox.files.writeFiles([])).toEqual([])
  })

  test('a read that is given up leaves the sandbox as it was', proves('files.read'), async () => {
    await sandbox.files.write('long', new Blob([randomBytes(8 * 1024 * 1024)]))
    const stream = await sandbox.files.read('long', { format: 'stream' })
    await stream.cancel()
    expect((await sandbox.commands.run('echo fine')).stdout).toBe('fine\n')
  })
})

describe.each(sdks.slice(0, 1))('e2b $version: metadata of files', ({ sdk }) => {
  let sandbox: Sandbox
  beforeAll(async () => {
    sandbox = await sdk.Sandbox.create({ timeoutMs: 300_000 })
  })
  afterAll(() => sandbox.kill())

  test(
    'is told by write, getInfo and list',
    proves('files.write', 'files.getInfo', 'files.list'),
    async () => {
      const metadata = { author: 'me', note: 'a b; c=d' }
      for (const options of [{}, { useOctetStream: true }]) {
        const written = await sandbox.files.write('meta/f', 'x', { metadata, ...options })
        expect(written.metadata).toEqual(metadata)
        expect((await sandbox.files.getInfo('meta/f')).metadata).toEqual(metadata)
        expect((await sandbox.files.list('meta'))[0]?.metadata).toEqual(metadata)
      }
    },
  )

  test('survives a rename, and every upload replaces all of it', proves('files.rename'), async () => {
    await sandbox.files.write('meta/f', 'x', { metadata: { a: '1', b: '2' } })
    expect((await sandbox.files.rename('meta/f', 'meta/g')).metadata).toEqual({ a: '1', b: '2' })
    await sandbox.files.write('meta/g', 'x', { metadata: { b: '3' } })
    expect((await sandbox.files.getInfo('meta/g')).metadata).toEqual({ b: '3' })
    expect((await sandbox.files.write('meta/g', 'x')).metadata).toBeUndefined()
    expect((await sandbox.files.getInfo('meta/g')).metadata).toBeUndefined()
  })

  test('is what user.e2b.* attributes say inside', proves('files.getInfo'), async () => {
    await sandbox.files.write('meta/x', 'x', { metadata: { out: 'of here' } })
    const script =
      "import os; print(os.getxattr('meta/x', 'user.e2b.out')); os.setxattr('meta/x', 'user.e2b.in', b'side')"
    expect((await sandbox.commands.run(`python3 -c "${script}"`)).stdout).toBe("b'of here'\n")
    expect((await sandbox.files.getInfo('meta/x')).metadata).toEqual({ out: 'of here', in: 'side' })
  })
})
