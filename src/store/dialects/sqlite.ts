import { chmodSync, closeSync, fdatasync, openSync } from 'node:fs'
import { promisify } from 'node:util'
import Database from 'better-sqlite3'
import { Kysely, type SqliteDatabase, SqliteDialect, type SqliteStatement } from 'kysely'
import { ServerError } from '../../domain/error.ts'
import type { Store } from '../../domain/store.ts'
import { loopTurns } from '../../lib/loop-turns.ts'
import { createGroupSync } from '../group-sync.ts'
import type { Tables } from '../schema.ts'
import { createSqlStore } from '../sql-store.ts'

/** How long a statement waits for another program that holds the database's lock. */
const busyTimeoutMs = 5000
/** Statements that are kept ready. Those of filters differ in what they ask for. */
const statementsMax = 256

export interface SqliteOptions {
  path: string
  /** Brings what is written to a file, by its descriptor, to the disk; absent: `fdatasync`. Not for one in memory */
  sync?: SyncFile
}

type SyncFile = (file: number) => Promise<void>

/**
 * The store in one SQLite file, made with mode 0600 where there is none; `:memory:` keeps it in memory and loses it
 * with `close`. Errors: `failed_precondition` when the file can't be opened, isn't a database or is from a newer
 * release.
 */
export async function openSqliteStore({ path, sync = promisify(fdatasync) }: SqliteOptions): Promise<Store> {
  const database = openDatabase(path)
  const log = path === ':memory:' ? undefined : openLog(path, database, sync)
  const group = createGroupSync(log?.sync ?? (async () => {}))
  const dialect = new SqliteDialect({
    database: observed(database, {
      onWrite: group.note,
      onClose: () => log?.close(),
    }),
  })
  return createSqlStore(new Kysely<Tables>({ dialect }), group)
}

/**
 * The database's log, which is there from its first change to its end. SQLite itself syncs it before a checkpoint, and when it
 * begins anew; none of its locks are on that file, so that others may open and close it.
 */
function openLog(
  path: string,
  database: Database.Database,
  syncFile: SyncFile,
): { sync(): Promise<void>; close(): void } {
  let file: number | undefined
  /** What a sync couldn't write the kernel doesn't try again: one that succeeds later says nothing of that. */
  let isInDoubt = false
  return {
    async sync() {
      file ??= openSync(`${path}-wal`, 'r')
      if (isInDoubt) {
        // Transactions wait for nothing but this database, so by then none is open, which would be in the way.
        await loopTurns(1)
        bringOver(database)
        isInDoubt = false
      }
      try {
        await syncFile(file)
      } catch (error) {
        isInDoubt = true
        throw error
      }
    },
    close() {
      if (file !== undefined) closeSync(file)
      file = undefined
    },
  }
}

/** Brings all that the log holds, as it is in memory, to the database's own pages, and these to the disk. Errors: not all. */
function bringOver(database: Database.Database): void {
  const rows = database.pragma('wal_checkpoint(PASSIVE)') as { log: number; checkpointed: number }[]
  if (rows.length !== 1 || rows.some(({ log, checkpointed }) => checkpointed !== log))
    throw new Error('what a failed sync of the database was about is not on the disk yet')
}

/** The same database, which keeps its statements and tells of each that may have written, once it is over. */
function observed(
  database: Database.Database,
  { onWrite, onClose }: { onWrite(): void; onClose(): void },
): SqliteDatabase {
  const statements = new Map<string, SqliteStatement>()
  const prepare = (text: string): SqliteStatement => {
    const statement = database.prepare<unknown[], unknown>(text)
    return {
      reader: statement.reader,
      all(parameters) {
        const rows = statement.all(parameters)
        if (!statement.readonly) onWrite()
        return rows
      },
      run(parameters) {
        const changes = statement.run(parameters)
        // That of a transaction's end, which counts as one that writes nothing, is when what is in it is written.
        onWrite()
        return changes
      },
      iterate: (parameters) => statement.iterate(parameters),
    }
  }
  return {
    prepare(text) {
      const known = statements.get(text)
      if (known !== undefined) return known
      const [oldest] = statements.keys()
      if (statements.size >= statementsMax && oldest !== undefined) statements.delete(oldest)
      const made = prepare(text)
      statements.set(text, made)
      return made
    },
    close() {
      database.close()
      onClose()
    },
  }
}

function openDatabase(path: string): Database.Database {
  try {
    if (path !== ':memory:') keepPrivate(path)
    const database = new Database(path, { timeout: busyTimeoutMs })
    try {
      database.pragma('journal_mode = WAL')
      // FULL would sync the log in each transaction, and everything else of this process would wait for it. What is to be
      // durable waits for a sync that all share (`openLog`); NORMAL is what it takes for a database that is whole at any time.
      database.pragma('synchronous = NORMAL')
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
