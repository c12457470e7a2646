import type { Fields } from './fields.ts'
import { protocolViolation } from './frames.ts'

export const entryTypes = ['file', 'directory', 'symlink', 'unspecified'] as const

/** A file as the agent describes it (spec/guest.md, Files). */
export interface Entry {
  name: string
  type: (typeof entryTypes)[number]
  /** Absolute */
  path: string
  /** Bytes */
  size: number
  /** Permission bits */
  mode: number
  /** e.g. `-rw-r--r--` */
  permissions: string
  /** Name, else number */
  owner: string
  group: string
  /** Unix milliseconds, with a fraction */
  modifiedMs: number
  symlinkTarget?: string
  metadata: Record<string, string>
}

/** Reads an entry an agent sent. Errors: `internal` for a violation of the protocol. */
export function parseEntry(fields: Fields): Entry {
  const type = entryTypes.find((known) => known === fields.string('type'))
  if (type === undefined) throw protocolViolation('entry of an unknown type')
  const symlinkTarget = fields.optionalString('symlinkTarget')
  return {
    name: fields.string('name'),
    type,
    path: fields.string('path'),
    size: fields.integer('size', 0, Number.MAX_SAFE_INTEGER),
    mode: fields.integer('mode', 0, 0xffff_ffff),
    permissions: fields.string('permissions'),
    owner: fields.string('owner'),
    group: fields.string('group'),
    modifiedMs: fields.number('modifiedMs'),
    ...(symlinkTarget === undefined ? {} : { symlinkTarget }),
    metadata: fields.has('metadata') ? fields.stringMap('metadata') : {},
  }
}
