import Database from 'better-sqlite3'
import { Kysely, SqliteDialect, sql } from 'kysely'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { migrate, migrations } from './migrate.ts'
import type { Migration } from './migrations/migration.ts'
import type { Tables } from './schema.ts'

let database: Database.Database
let db: Kysely<Tables>
beforeEach(() => {
  database = new Database(':memory:')
  db = new Kysely<Tables>({ dialect: new SqliteDialect({ database }) })
})
afterEach(() => db.destroy())

const step = (version: number, text: string): Migration => ({
  version,
  up: async (transaction) => {
    await sql.raw(text).execute(transaction)
  },
})
const one = step(1, 'create table one (id)')
const two = step(2, 'create table two (id)')

const tables = () =>
  database.prepare("select name from sqlite_master where type = 'table' order by name").pluck().all()
const version = () => database.prepare("select value from meta where key = 'schema_version'").pluck().get()

test('versions count up from one', () => {
  expect(migrations.map((migration) => migration.version)).toEqual(migrations.map((_, index) => index + 1))
})

test('only the missing steps run', async () => {
  await migrate(db, [one])
  expect(version()).toBe('1')
  await migrate(db, [one, two])
  await migrate(db, [one, two])
  expect(tables()).toEqual(['meta', 'one', 'two'])
  expect(version()).toBe('2')
})

test('a failing step undoes the ones before it', async () => {
  await expect(migrate(db, [one, step(2, 'create nonsense')])).rejects.toThrow()
  expect(tables()).toEqual(['meta'])
  await migrate(db, [one, two])
  expect(version()).toBe('2')
})
