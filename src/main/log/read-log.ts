/** Reads the server's log back, from its file and the one before it. */
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { sleep } from '../../lib/deadline.ts'
import { readIfThere } from '../state-dir.ts'
import { olderOf } from './rotating-file.ts'

/** How often a followed file is looked at, in milliseconds. */
const lookEveryMs = 250
const chunkBytes = 64 * 1024

/**
 * The last `count` lines, oldest first, without their newlines; with `follow` also those that are written from then on,
 * over rotations, until that signal.
 */
export async function* logLines(
  path: string,
  { count, follow }: { count: number; follow?: AbortSignal | undefined },
): AsyncGenerator<string> {
  let reader = openReader(path)
  try {
    const lines = reader?.read() ?? []
    const isShort = lines.length < count
    const older = isShort ? (readIfThere(olderOf(path)) ?? '').split('\n').filter(Boolean) : []
    const all = [...older, ...lines]
    yield* all.slice(Math.max(0, all.length - count))
    while (follow !== undefined && !follow.aborted) {
      reader ??= openReader(path)
      // Asked before reading: what has become the older file gets no more lines.
      const isOver = reader !== undefined && !reader.isAt(path)
      yield* reader?.read() ?? []
      if (isOver) {
        reader?.close()
        reader = undefined
      } else await sleep(lookEveryMs, follow).catch(() => {})
    }
  } finally {
    reader?.close()
  }
}

/** Undefined where there is no file. */
function openReader(path: string) {
  const fd = tryOpen(path)
  if (fd === undefined) return undefined
  let position = 0
  /** What has been read of a line that isn't whole yet; each character is a byte */
  let rest = ''
  return {
    /** Whole lines that were not read yet. */
    read(): string[] {
      const lines: string[] = []
      const buffer = Buffer.alloc(chunkBytes)
      for (;;) {
        const length = readSync(fd, buffer, 0, chunkBytes, position)
        if (length === 0) return lines
        position += length
        const found = (rest + buffer.toString('latin1', 0, length)).split('\n')
        rest = found.pop()!
        for (const line of found) if (line !== '') lines.push(Buffer.from(line, 'latin1').toString())
      }
    },
    isAt: (place: string) => statSync(place, { throwIfNoEntry: false })?.ino === fstatSync(fd).ino,
    close: () => closeSync(fd),
  }
}

function tryOpen(path: string): number | undefined {
  try {
    return openSync(path, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
