/**
 * What one build says, written in batches while it runs. Whoever says much waits until it is written; what a build says
 * beyond its bounds is dropped, its commands' output first, so that how it ended is always there.
 */
import type { LogLevel } from '../domain/sandbox-log.ts'
import type { BuildLogEntry, BuildLogStore } from '../domain/template-build.ts'
import type { Clock } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'

/** How late an entry is written, in ms. */
const flushMs = 150
/** Longest entry, in characters. */
const messageMaxLength = 4096
/** Entries that wait at most before whoever writes more has to wait. */
const waitingMax = 1_000
/** Entries of one write, which nothing else of the store runs beside. */
const batch = 200
/** Output of commands that is kept of one build. */
const outputMax = { lines: 15_000, characters: 8 * 2 ** 20 }

export interface BuildLog {
  /** Takes an entry in without waiting. */
  write(message: string, level?: LogLevel): void
  /** As `write`, for a line that a command has put out; resolves when there is room for more. */
  output(message: string): Promise<void>
  /** As in `TemplateBuild.reason`, for what is written from now on. */
  at(step: string | null): void
  /** Writes what waits. Never rejects. */
  flush(): Promise<void>
}

export interface BuildLogParts {
  /** What is to be seen of a line */
  mask: (message: string) => string
  buildId: string
  store: Pick<BuildLogStore, 'append'>
  clock: Clock
  log: Log
}

export function createBuildLog({ buildId, mask, store, clock, log }: BuildLogParts): BuildLog {
  let waiting: Omit<BuildLogEntry, 'index'>[] = []
  let step: string | null = null
  let timer: NodeJS.Timeout | undefined
  let writing: Promise<void> = Promise.resolve()
  let left = { ...outputMax }

  const write = (line: string, level: LogLevel = 'info') => {
    const text = mask(line)
    const message = text.length > messageMaxLength ? `${text.slice(0, messageMaxLength)}…` : text
    waiting.push({ at: Math.round(clock.now()), level, message, step })
    timer ??= setTimeout(() => void flush(), flushMs)
  }

  /** One write after another, so that entries stay in their order. */
  const flush = () => {
    clearTimeout(timer)
    timer = undefined
    writing = writing.then(async () => {
      while (waiting.length > 0) {
        const entries = waiting.slice(0, batch)
        waiting = waiting.slice(batch)
        await store.append(buildId, entries).catch((error) => {
          log.warn({ buildId, err: error }, "entries of a build's log are lost")
        })
      }
    })
    return writing
  }

  return {
    write,
    async output(message) {
      if (left.lines === 0) return
      const characters = left.characters - Math.min(message.length, messageMaxLength)
      left = { lines: left.lines - 1, characters }
      if (left.lines === 0 || characters < 0) {
        left.lines = 0
        write('The rest of what commands put out is not kept: it is too much.', 'warn')
        return
      }
      write(message)
      if (waiting.length >= waitingMax) await flush()
    },
    at(next) {
      step = next
    },
    flush,
  }
}
