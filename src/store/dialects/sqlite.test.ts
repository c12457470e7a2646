import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { testStore } from '../store.suite.ts'
import { openSqliteStore } from './sqlite.ts'

const red = { id: 'red', name: 'Red', slug: 'red', createdAt: 1, limits: {} }

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'e2b-store-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

testStore('SQLite in memory', () => openSqliteStore({ path: ':memory:' }))
testStore('SQLite in a file', () => openSqliteStore({ path: join(folder, 'state.db') }))

test('a file keeps its data and its id', async () => {
  const path = join(folder, 'state.db')
  const first = await openSqliteStore({ path })
  await first.teams.create(red)
  await first.close()
  const second = await openSqliteStore({ path })
  expect(second.instanceId).toBe(first.instanceId)
  expect(await second.teams.first()).toEqual(red)
  await second.close()
})

test('each database has its own id', async () => {
  const stores = await Promise.all([1, 2, 3].map(() => openSqliteStore({ path: ':memory:' })))
  expect(new Set(stores.map(({ instanceId }) => instanceId)).size).toBe(3)
  for (const store of stores) await store.close()
})

test('what is written is in the file before the store is closed', async () => {
  const path = join(folder, 'state.db')
  const store = await openSqliteStore({ path })
  await store.teams.create(red)
  const other = await openSqliteStore({ path })
  expect(await other.teams.first()).toEqual(red)
  await other.close()
  await store.close()
})

test('only the owner may read the files', async () => {
  const path = join(folder, 'state.db')
  writeFileSync(path, '')
  chmodSync(path, 0o644)
  const store = await openSqliteStore({ path })
  await store.teams.create(red)
  const files = readdirSync(folder)
  expect(files).toContain('state.db-wal')
  for (const file of files) expect(statSync(join(folder, file)).mode & 0o777).toBe(0o600)
  await store.close()
})

test('a database of a newer release is refused and left alone', async () => {
  const path = join(folder, 'state.db')
  await (await openSqliteStore({ path })).close()
  const database = new Database(path)
  database.prepare("update meta set value = '999' where key = 'schema_version'").run()
  database.close()
  await expect(openSqliteStore({ path })).rejects.toMatchObject({
    code: 'failed_precondition',
    message: expect.stringMatching(/schema version 999.*newer release/),
  })
})

test('a file that is no database is refused by name', async () => {
  const path = join(folder, 'state.db')
  writeFileSync(path, 'not a database, and long enough to tell'.repeat(100))
  await expect(openSqliteStore({ path })).rejects.toMatchObject({
    code: 'failed_precondition',
    message: expect.stringContaining(path),
  })
})

test('a folder that does not exist is named', async () => {
  const path = join(folder, 'none', 'state.db')
  await expect(openSqliteStore({ path })).rejects.toMatchObject({
    code: 'failed_precondition',
    message: expect.stringContaining(path),
  })
})
