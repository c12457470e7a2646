import { chown, lstat, mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Client, Code, ConnectError, createClient } from '@connectrpc/connect'
import { createConnectTransport } from '@connectrpc/connect-node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startAgent, type TestAgent } from '../../../tests/support/agent.ts'
import { type EnvdServer, startEnvd } from '../../../tests/support/envd-server.ts'
import { EventType, Filesystem, FileType } from '../../wire/gen/envd/filesystem/filesystem_pb.ts'
import { toEntryInfo } from './entry-info.ts'

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

async function codeOf(promise: Promise<unknown>): Promise<[Code, string]> {
  const error = ConnectError.from(await promise.catch((thrown: unknown) => thrown))
  return [error.code, error.rawMessage]
}

describe.each([
  ['JSON', false],
  ['binary', true],
])('filesystem.Filesystem in %s', (name, useBinaryFormat) => {
  let client: Client<typeof Filesystem>
  const at = (path: string) => join(agent.folder, name, path)

  beforeAll(async () => {
    const options = { baseUrl: server.url, httpVersion: '1.1', useBinaryFormat } as const
    client = createClient(Filesystem, createConnectTransport(options))
    await mkdir(at(''), { recursive: true })
  })

  it('describes files', async () => {
    await writeFile(at('file.txt'), 'hello', { mode: 0o640 })
    await symlink(at('file.txt'), at('link'))
    if (process.getuid?.() === 0) await chown(at('file.txt'), 65_534, 0)
    const { entry } = await client.stat({ path: at('file.txt') })
    expect(entry).toMatchObject({
      name: 'file.txt',
      type: FileType.FILE,
      path: at('file.txt'),
      size: 5n,
      mode: 0o640,
      permissions: '-rw-r-----',
      metadata: {},
    })
    if (process.getuid?.() === 0) expect([entry?.owner, entry?.group]).toEqual(['nobody', 'root'])
    const { mtimeMs } = await lstat(at('file.txt'))
    const seconds = Number(entry?.modifiedTime?.seconds) + Number(entry?.modifiedTime?.nanos) / 1e9
    expect(seconds).toBeCloseTo(mtimeMs / 1000, 3)
    const link = (await client.stat({ path: at('link') })).entry
    expect(link).toMatchObject({
      type: FileType.FILE,
      permissions: 'Lrwxrwxrwx',
      symlinkTarget: at('file.txt'),
    })
  })

  it('makes, lists, moves and removes directories', async () => {
    expect((await client.makeDir({ path: at('tree/b') })).entry).toMatchObject({
      type: FileType.DIRECTORY,
      mode: 0o755,
      permissions: 'drwxr-xr-x',
    })
    await client.makeDir({ path: at('tree/a/deep') })
    const list = async (depth: number) => {
      const { entries } = await client.listDir({ path: at('tree'), depth })
      return entries.map(({ path }) => path.slice(at('tree/').length))
    }
    expect(await list(0)).toEqual(['a', 'b'])
    expect(await list(2)).toEqual(['a', 'a/deep', 'b'])
    const moved = await client.move({ source: at('tree/a'), destination: at('new/place') })
    expect(moved.entry?.path).toBe(at('new/place'))
    await client.remove({ path: at('tree') })
    await client.remove({ path: at('tree') })
    expect(await codeOf(client.stat({ path: at('tree') }))).toEqual([
      Code.NotFound,
      `path '${at('tree')}' does not exist`,
    ])
  })

  it('says what is wrong', async () => {
    await writeFile(at('plain'), '')
    expect((await codeOf(client.makeDir({ path: at('') })))[0]).toBe(Code.AlreadyExists)
    expect((await codeOf(client.makeDir({ path: at('plain') })))[0]).toBe(Code.InvalidArgument)
    expect((await codeOf(client.listDir({ path: at('plain'), depth: 1 })))[0]).toBe(Code.InvalidArgument)
    expect((await codeOf(client.listDir({ path: at('missing'), depth: 1 })))[0]).toBe(Code.NotFound)
    const move = client.move({ source: at('missing'), destination: at('x') })
    expect((await codeOf(move))[0]).toBe(Code.NotFound)
    const headers = { authorization: `Basic ${Buffer.from('x:').toString('base64')}` }
    expect(await codeOf(client.stat({ path: '/' }, { headers }))).toEqual([
      Code.Unauthenticated,
      "invalid username: 'x'",
    ])
  })
})

describe('toEntryInfo', () => {
  const entry = {
    name: 'a',
    type: 'file',
    path: '/a',
    size: 1,
    mode: 0o644,
    permissions: '-rw-r--r--',
    owner: 'root',
    group: 'root',
    metadata: {},
  } as const

  it.each([
    [0, 0n, 0],
    [1500.25, 1n, 500_250_000],
    [-0.5, -1n, 999_500_000],
    [999.9999, 1n, 0],
    [1e300, 253_402_300_799n, 0],
    [-1e300, -62_135_596_800n, 0],
  ])('dates %d ms to what a timestamp can say', (modifiedMs, seconds, nanos) => {
    expect(toEntryInfo({ ...entry, modifiedMs }).modifiedTime).toMatchObject({ seconds, nanos })
  })
})

it('has the numbers of the reference', async () => {
  expect(EventType).toMatchObject({ CREATE: 1, WRITE: 2, REMOVE: 3, RENAME: 4, CHMOD: 5 })
  expect(FileType).toMatchObject({ FILE: 1, DIRECTORY: 2, SYMLINK: 3 })
})
