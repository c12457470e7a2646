import { readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openTestArchives } from '../../tests/support/control.ts'
import type { Store } from '../domain/store.ts'
import { silentLog } from '../lib/log.ts'
import { openSqliteStore } from '../store/dialects/sqlite.ts'
import { openArchives } from './archives.ts'

const hash = (digit: string) => digit.repeat(64)
const never = new AbortController().signal

/** A wall clock that the test sets. */
let now: number
let store: Store
let parts: Awaited<ReturnType<typeof openTestArchives>>
beforeEach(async () => {
  now = 1_800_000_000_000
  store = await openSqliteStore({ path: ':memory:' })
  parts = await openTestArchives(store, { now: () => now })
})
afterEach(async () => {
  await parts.removeArchives()
  await store.close()
})

const upload = (bytes: string | Buffer, sizeBytes = bytes.length) => ({
  body: Readable.from([Buffer.from(bytes)]),
  sizeBytes,
})
const receive = (link: string, bytes: string | Buffer, size?: number) =>
  parts.archives.receive(link, upload(bytes, size), new AbortController().signal)
const contents = async (team: string, digit: string) =>
  (await buffer(await parts.archives.open(team, hash(digit)))).toString()
const inFolder = async () => (await readdir(parts.folder)).toSorted()

test('what was uploaded by a link is there for its team, under its hash, and for nobody else', async () => {
  const { archives } = parts
  expect(await archives.has('team', hash('a'))).toBe(false)
  const link = archives.createLink('team', hash('a'))
  expect(link).toMatch(/^[0-9a-f]{64}$/)
  await receive(link, 'some bytes')
  expect(await archives.has('team', hash('a'))).toBe(true)
  expect(await archives.has('other', hash('a'))).toBe(false)
  expect(await contents('team', 'a')).toBe('some bytes')
  await expect(archives.open('other', hash('a'))).rejects.toMatchObject({ code: 'not_found' })
  expect((await stat(parts.folder)).mode & 0o777).toBe(0o700)
  for (const name of await inFolder()) expect((await stat(join(parts.folder, name))).mode & 0o777).toBe(0o600)
  expect(await store.templateFiles.find('team', hash('a'))).toMatchObject({ sizeBytes: 10, createdAt: now })
})

test('a link is for one upload, within an hour', async () => {
  const { archives } = parts
  const used = archives.createLink('team', hash('a'))
  await receive(used, 'first')
  const late = archives.createLink('team', hash('a'))
  now += 3_600_001
  for (const link of [used, late, 'f'.repeat(64), '', '../x']) {
    await expect(receive(link, 'second')).rejects.toMatchObject({
      code: 'forbidden',
      message: expect.stringContaining('unknown, used or expired'),
    })
  }
  expect(await contents('team', 'a')).toBe('first')
})

test('of a team’s links the newest thousand count', async () => {
  const { archives } = parts
  const links = Array.from({ length: 1_001 }, () => archives.createLink('team', hash('a')))
  const other = archives.createLink('other', hash('a'))
  await expect(receive(links[0]!, 'x')).rejects.toMatchObject({ code: 'forbidden' })
  for (const link of [links[1]!, links[1_000]!, other]) await receive(link, 'x')
})

test('an upload that isn’t whole leaves what was there, and nothing else', async () => {
  const { archives } = parts
  await receive(archives.createLink('team', hash('a')), 'old')
  const before = await inFolder()
  const attempt = (body: Readable, sizeBytes: number, signal = never) =>
    archives.receive(archives.createLink('team', hash('a')), { body, sizeBytes }, signal)
  await expect(attempt(Readable.from([Buffer.from('new')]), 4)).rejects.toMatchObject({
    code: 'invalid_argument',
  })
  await expect(attempt(Readable.from([Buffer.from('new')]), 2)).rejects.toMatchObject({
    code: 'invalid_argument',
  })
  await expect(attempt(Readable.from([]), 1)).rejects.toMatchObject({ code: 'invalid_argument' })
  const left = new Readable({ read() {} })
  left.push(Buffer.from('ne'))
  const leaving = attempt(left, 3)
  left.destroy()
  await expect(leaving).rejects.toMatchObject({ code: 'canceled' })
  await expect(attempt(left, 3)).rejects.toMatchObject({ code: 'canceled' })
  const stop = new AbortController()
  const silent = attempt(new Readable({ read() {} }), 3, stop.signal)
  stop.abort(new Error('over'))
  await expect(silent).rejects.toThrow('over')
  expect(await inFolder()).toEqual(before)
  expect(await contents('team', 'a')).toBe('old')
  await receive(archives.createLink('team', hash('e')), '')
  expect(await contents('team', 'e')).toBe('')
})

test('uploads of one hash at the same time leave one of them, whole', async () => {
  const { archives } = parts
  const bodies = Array.from({ length: 12 }, (_, index) => String(index % 10).repeat(100_000))
  await Promise.all(bodies.map((body) => receive(archives.createLink('team', hash('a')), body)))
  expect(bodies).toContain(await contents('team', 'a'))
  expect(await inFolder()).toEqual([`team.${hash('a')}`])
})

test('one that reads goes on reading what it has opened', async () => {
  const { archives } = parts
  await receive(archives.createLink('team', hash('a')), 'old')
  const reading = await archives.open('team', hash('a'))
  await receive(archives.createLink('team', hash('a')), 'newer')
  expect((await buffer(reading)).toString()).toBe('old')
  expect(await contents('team', 'a')).toBe('newer')
})

test('a team has so many bytes: what it has not used for longest makes room, what was just used does not', async () => {
  const { archives } = parts
  const kilobytes = (count: number) => Buffer.alloc(count * 1_000)
  for (const digit of ['a', 'b', 'c']) await receive(archives.createLink('team', hash(digit)), kilobytes(600))
  const more = () => receive(archives.createLink('team', hash('d')), kilobytes(700))
  await expect(more()).rejects.toMatchObject({ code: 'resource_exhausted' })
  await receive(archives.createLink('other', hash('d')), kilobytes(700))
  now += 2 * 3_600_000 + 1
  expect(await archives.has('team', hash('a'))).toBe(true)
  await more()
  const left = (await store.templateFiles.list({ teamId: 'team' })).map((file) => file.hash[0])
  expect(left.toSorted()).toEqual(['a', 'c', 'd'])
  expect(await inFolder()).not.toContain(`team.${hash('b')}`)
  // One that takes the place of another counts once.
  await receive(archives.createLink('team', hash('d')), kilobytes(800))
})

test('what is on its way counts too', async () => {
  const { archives } = parts
  const slow = () => new Readable({ read() {} })
  const stop = new AbortController()
  const begun = ['a', 'b'].map((digit) =>
    archives.receive(
      archives.createLink('team', hash(digit)),
      { body: slow(), sizeBytes: 900_000 },
      stop.signal,
    ),
  )
  await expect(receive(archives.createLink('team', hash('c')), Buffer.alloc(300_000))).rejects.toMatchObject({
    code: 'resource_exhausted',
  })
  stop.abort(new Error('over'))
  await Promise.allSettled(begun)
  await receive(archives.createLink('team', hash('c')), Buffer.alloc(300_000))
})

test('a disk without room is said to have none', async () => {
  const { folder } = parts
  const bounds = { maxBytes: 1_000_000, teamMaxBytes: 2_000_000, keepFreeBytes: Number.MAX_SAFE_INTEGER }
  const files = store.templateFiles
  const full = await openArchives({ folder, files, ...bounds, clock: { now: () => now }, log: silentLog })
  await expect(full.receive(full.createLink('team', hash('a')), upload('x'), never)).rejects.toMatchObject({
    errno: 'ENOSPC',
  })
})

test('a start removes halves and what has no record; a record without its file is none', async () => {
  const { archives, folder } = parts
  await receive(archives.createLink('team', hash('a')), 'kept')
  await receive(archives.createLink('team', hash('b')), 'lost')
  await store.templateFiles.remove('team', hash('b'))
  await writeFile(join(folder, 'half.part'), 'x')
  const file = { sizeBytes: 1, createdAt: 1, lastUsedAt: 1 }
  await store.templateFiles.put({ ...file, teamId: 'team', hash: hash('c') })
  const bounds = { maxBytes: 1_000_000, teamMaxBytes: 2_000_000, keepFreeBytes: 0 }
  const files = store.templateFiles
  const next = await openArchives({ folder, files, ...bounds, clock: { now: () => now }, log: silentLog })
  expect(await inFolder()).toEqual([`team.${hash('a')}`])
  expect(await next.has('team', hash('c'))).toBe(false)
  expect(await store.templateFiles.find('team', hash('c'))).toBeUndefined()
})
