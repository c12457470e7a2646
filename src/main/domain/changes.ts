/**
 * Changes to files of this machine that can be taken back exactly. Each is a few lines of ours at the top of a file, which
 * may hold nothing else. Files are written where they are, as some are mounted, linked or labelled; what they held is in the
 * record (`record.ts`) before they are touched, so a write that broke off is known by it.
 */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname } from 'node:path'

export interface Change {
  path: string
  /** What comes to the file's top: whole lines of ASCII */
  text: string
  /** The file that `text` is from */
  from?: string
  /** Makes comments of the file's own lines that begin so: `prefix` comes before them */
  aside?: { begin: string; prefix: string }
}

/** A change with what it is taken back by. */
export interface Undoable extends Change {
  /** What the file held without it, in Latin-1, which keeps every byte; null: there was no such file */
  before: string | null
  /** Folders that have to be made for it, outermost first */
  folders: string[]
}

/** Lines that say whose they are, so that they are found again also when they were edited. */
export function markedLines(domain: string, lines: string[]): string {
  return [
    `${beginOf(domain)} ("e2b-server domain off" removes these lines)`,
    ...lines,
    endOf(domain),
    '',
  ].join('\n')
}

const beginOf = (domain: string) => `# begin e2b-server ${domain}`
const endOf = (domain: string) => `# end e2b-server ${domain}`

/** What taking a change back needs, read before it is made. `recorded`: of the same change, made before and whole. */
export function prepare(change: Change, recorded?: Undoable): Undoable {
  const { path } = change
  const now = readBytes(path)
  const folders: string[] = []
  for (let folder = dirname(path); !existsSync(folder); folder = dirname(folder)) folders.unshift(folder)
  const rest = now === null ? null : withoutOurs(now, change)
  // A file of nothing but our lines is one that we have made.
  const isOurs = rest === '' && now !== '' && recorded?.before !== ''
  return { ...change, folders: [...(recorded?.folders ?? []), ...folders], before: isOurs ? null : rest }
}

export function make(change: Undoable): void {
  const { path, before, folders } = change
  // Not `recursive`, which says nothing of a folder that has come in the meantime.
  for (const folder of folders) if (!existsSync(folder)) mkdirSync(folder, { mode: 0o755 })
  write(path, withOurs(change), before === null)
}

/**
 * Takes a change back. What others have written into the file since stays. `isSettled`: whether the last write of the
 * file is known to have ended; else a file with the beginning of what was to be written gets what it held before.
 */
export function takeBack(change: Undoable, { isSettled }: { isSettled: boolean }): void {
  const { path, folders } = change
  const now = readBytes(path)
  if (now !== null) {
    const then = isSettled || !isTorn(now, change) ? withoutOurs(now, change) : change.before
    if (then === null || (then === '' && change.before === null)) rmSync(realpathSync(path))
    else if (then !== now) write(path, then, false)
  }
  for (const folder of folders.toReversed()) {
    try {
      rmdirSync(folder)
    } catch {
      // It isn't empty, or gone.
    }
  }
}

/** `changed`: our lines were edited, or others have come that they were to take the place of. */
export function lookAt(change: Change): 'there' | 'changed' | 'missing' {
  const now = readBytes(change.path)
  const without = now === null ? null : withoutOurs(now, change)
  if (without === null || without === now) return 'missing'
  return withOurs({ ...change, before: without }) === now ? 'there' : 'changed'
}

/** A file's bytes as Latin-1; null where there is none. */
export function readBytes(path: string): string | null {
  try {
    return readFileSync(path, 'latin1')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

function isTorn(now: string, change: Undoable): boolean {
  const whole = withOurs(change)
  return (now.length < whole.length && whole.startsWith(now)) || (change.before ?? '').startsWith(now)
}

function withOurs({ text, before, aside }: Change & Pick<Undoable, 'before'>): string {
  const kept = linesOf(before ?? '').map((line) =>
    aside !== undefined && line.startsWith(aside.begin) ? aside.prefix + line : line,
  )
  return text + kept.join('')
}

/** What a file holds besides our lines, which are there as they were written or between their marks. */
export function withoutOurs(now: string, { text, aside }: Omit<Change, 'path'>): string {
  const rest = linesOf(withoutText(now, text)).map((line) =>
    aside !== undefined && line.startsWith(aside.prefix) ? line.slice(aside.prefix.length) : line,
  )
  return rest.join('')
}

function withoutText(now: string, text: string): string {
  const at = now.indexOf(text)
  if (at !== -1) return now.slice(0, at) + now.slice(at + text.length)
  const ours = text.split('\n').slice(0, -1)
  const [first, last] = [ours[0]!, ours.at(-1)!]
  if (!first.startsWith('# begin ')) return now
  const lines = linesOf(now)
  const bare = (line: string) => line.replace(/\r?\n$/, '')
  // Up to the parenthesis it says whose they are; the rest may have been edited, or be another version's.
  const mark = first.slice(0, first.indexOf(' ('))
  const begin = lines.findIndex((line) => bare(line) === mark || line.startsWith(`${mark} (`))
  if (begin === -1) return now
  const end = lines.findIndex((line, index) => index > begin && bare(line) === last)
  if (end !== -1) return [...lines.slice(0, begin), ...lines.slice(end + 1)].join('')
  return lines
    .filter((line, index) => index !== begin && !(index > begin && ours.includes(bare(line))))
    .join('')
}

/** Each with its end. */
const linesOf = (text: string) => text.split(/(?<=\n)/)

function write(path: string, bytes: string, isNew: boolean): void {
  const at = isNew && !existsSync(path) ? path : realpathSync(path)
  writeFileSync(at, bytes, { encoding: 'latin1', flush: true })
  if (isNew) chmodSync(at, 0o644)
}
