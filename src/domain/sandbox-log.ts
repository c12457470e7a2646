/** What a sandbox's processes did and said, for its owner. Bounded everywhere: it is a help, not a record. */

export const logLevels = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof logLevels)[number]

export interface SandboxLogEntry {
  /** Unix milliseconds */
  at: number
  level: LogLevel
  message: string
  /** Always with `logger`: `process`, `lifecycle`, `log`; a line of output has its `stream` */
  fields: Record<string, string>
}

export interface StoredLogEntry extends SandboxLogEntry {
  teamId: string
  sandboxId: string
}

/** Takes entries in without waiting and never fails; what can't be kept is dropped and counted. */
export interface SandboxLogSink {
  write(entry: StoredLogEntry): void
}

export interface SandboxLogFilter {
  teamId: string
  sandboxId: string
  /** Unix milliseconds, inclusive */
  from?: number
  /** Unix milliseconds, inclusive */
  to?: number
  levels?: readonly LogLevel[]
  /** Has to occur in the message, letter by letter */
  search?: string
  /** By time; oldest first by default */
  order?: 'asc' | 'desc'
  limit: number
}

export interface SandboxLogStore {
  add(entries: readonly StoredLogEntry[]): Promise<void>
  list(filter: SandboxLogFilter): Promise<SandboxLogEntry[]>
  /** Removes those from before a time, and those of sandboxes that are gone from before `endedBefore`; Unix milliseconds. */
  trim(limits: { before: number; endedBefore: number }): Promise<void>
  /** Removes the oldest of a sandbox, so that there are at most so many, of at most so many characters together. */
  trimSandbox(sandboxId: string, max: { entries: number; characters: number }): Promise<void>
}
