import { ServerError } from '../../domain/error.ts'
import { isFrozen } from './freeze.ts'
import type { GuestDirs, GuestRecord } from './guest-dir.ts'
import { isAlive } from './proc-table.ts'

/** A guest that can be used, as it is found now. */
export interface FoundGuest {
  /** `alive`: running or not stopped entirely; the record says which process its agent is */
  condition: 'alive' | 'frozen' | 'stopped'
  record: GuestRecord
}

/**
 * What there is of a guest, undefined without its files. The processes count, not the record, but for those of a boot
 * that was not finished.
 */
export async function lookForGuest(dirs: GuestDirs, sandboxId: string): Promise<FoundGuest | undefined> {
  if (!dirs.exists(sandboxId)) return undefined
  const record = await dirs.readState(sandboxId)
  if (record.phase === 'stopped' || record.phase === 'booting') return { condition: 'stopped', record }
  if (await isFrozen(record)) return { condition: 'frozen', record }
  if (await isAlive(record)) return { condition: 'alive', record }
  return { condition: 'stopped', record }
}

/** Errors: `not_found`. */
export async function findGuest(dirs: GuestDirs, sandboxId: string): Promise<FoundGuest> {
  const found = await lookForGuest(dirs, sandboxId)
  if (found === undefined) throw new ServerError('not_found', `There is no sandbox ${sandboxId}.`)
  return found
}
