import type { Entry } from '../../guest/entry.ts'

/** A file as the response to a write lists it (e2b-wire 3.5). */
export interface WrittenFile {
  name: string
  path: string
  type: 'file'
  /** Absent when empty */
  metadata?: Record<string, string>
}

/** `path` is where the file was asked for, absolute. */
export function presentWritten(path: string, { metadata }: Entry): WrittenFile {
  const name = path.slice(path.lastIndexOf('/') + 1)
  return { name, path, type: 'file', ...(Object.keys(metadata).length === 0 ? {} : { metadata }) }
}
