import { chmodSync, closeSync, openSync } from 'node:fs'
import Database from 'better-sqlite3'
import { Kysely, SqliteDialect } from 'kysely'
import { ServerError } from '../../domain/error.ts'
import type { Store } from '../../domain/store.ts'
import type { Tables } from '../schema.ts'
import { createSqlStore } from '../sql-store.ts'

/** How long a statement waits for another program that holds the database's lock. */
const busyTimeoutMs = 5000

/**
 * The store in one SQLite file, made with mode 0600 where there is none; `:memory:` keeps it in memory and loses it
 * with `close`. Errors: `failed_precondition` when the file can't be opened, isn't a database or is from a newer
 * release.
 */
export async function openSqliteStore(options: { path: string }): Promise<Store> {
  return createSqlStore(
    new Kysely<Tables>({ dialect: new SqliteDialect({ database: openDatabase(options.path) }) }),
  )
}

function openDatabase(path: string): Database.Database {
  try {
    if (path !== ':memory:') keepPrivate(path)
    const database = new Database(path, { timeout: busyTimeoutMs })
    try {
      database.pragma('journal_mode = WAL')
      // The contract is that a method is durable when it resolves. FULL costs a sync of the log per write, about
      // a millisecond on an SSD, where a sandbox's start costs hundreds; NORMAL would lose the newest
      // keys and handles with the machine's power.
      database.pragma('synchronous = FULL')
      database.pragma('foreign_keys = ON')
      return database
    } catch (error) {
      database.close()
      throw error
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new ServerError('failed_precondition', `The database ${path} can't be opened: ${reason}`, {
      cause: error,
    })
  }
}

/** SQLite gives its log files the mode of the database, so the file is made before SQLite would. */
function keepPrivate(path: string): void {
  closeSync(openSync(path, 'a', 0o600))
  chmodSync(path, 0o600)
}
