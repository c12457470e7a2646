/** What `domain on` has changed on this machine, kept in the state directory from before the first change to after the last. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { readIfThere, writePrivate } from '../state-dir.ts'
import type { Undoable } from './changes.ts'

export interface DomainRecord {
  /** Without a port */
  domain: string
  /** In words: by what names are found; null: nothing was changed for it */
  names: string | null
  /** Of the authority's certificate; null: nothing was changed for it */
  trust: string | null
  /**
   * `writing`: from before the first write until after the last, also while they are taken back. `written`: what makes them
   * count has not been run, or has failed.
   */
  state: 'writing' | 'written' | 'done'
  changes: Undoable[]
  /** What makes them count, and their absence */
  onCommands: string[][]
  offCommands: string[][]
}

const pathOf = (stateDir: string) => join(stateDir, 'domain.json')

export function readRecord(stateDir: string): DomainRecord | undefined {
  const text = readIfThere(pathOf(stateDir))
  return text === undefined ? undefined : JSON.parse(text)
}

export function writeRecord(stateDir: string, record: DomainRecord): void {
  writePrivate(pathOf(stateDir), JSON.stringify(record, null, 2))
}

export function removeRecord(stateDir: string): void {
  rmSync(pathOf(stateDir), { force: true })
}
