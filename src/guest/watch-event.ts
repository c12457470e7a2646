import { elementsOf } from './elements.ts'
import { type Entry, parseEntry } from './entry.ts'
import type { Fields } from './fields.ts'
import { protocolViolation } from './frames.ts'
import type { PathRequest } from './path-request.ts'

export interface WatchRequest extends PathRequest {
  /** Sub-directories too, to any depth */
  recursive: boolean
  /** Describe what an event is about, where it still exists */
  includeEntry: boolean
  /** Else a network file system is refused */
  allowNetworkMounts: boolean
}

const watchEventTypes = ['create', 'write', 'remove', 'rename', 'chmod'] as const

/** A change in a watched directory (spec/guest.md, Watching). */
export interface WatchEvent {
  /** Relative to the directory; `.` is the directory itself */
  name: string
  type: (typeof watchEventTypes)[number]
  entry?: Entry
}

/** The `events` of a payload, read as they are iterated over. Errors: `internal` for a violation of the protocol. */
export function* readWatchEvents(payload: Buffer): Generator<WatchEvent, void> {
  for (const fields of elementsOf(payload, 'events')) yield parseWatchEvent(fields)
}

function parseWatchEvent(fields: Fields): WatchEvent {
  const type = watchEventTypes.find((known) => known === fields.string('type'))
  if (type === undefined) throw protocolViolation('event of an unknown type')
  return {
    name: fields.string('name'),
    type,
    ...(fields.has('entry') ? { entry: parseEntry(fields.object('entry')) } : {}),
  }
}
