/** What the commands need of the rest of the program, and the flag they share. */
import type { Command } from 'commander'

/** Flags as given, each absent when not; `main/config.ts` adds environment and defaults and validates. */
export type Flags = Record<string, string | boolean | undefined>

/** One line of `doctor`. */
export interface Check {
  name: string
  /** `warn`: it works, but not for everybody or not for long */
  state: 'ok' | 'warn' | 'fail'
  detail: string
  /** What to do about it */
  remedy?: string
}

export interface KeyRow {
  id: string
  name: string
  mask: string
  createdAt: Date
}

export interface Actions {
  /** Resolves when the server has stopped. */
  start(flags: Flags): Promise<void>
  /** The variables that point an E2B SDK at the server; null: one that must not be set. */
  env(flags: Flags): Promise<Record<string, string | null>>
  doctor(flags: Flags): Promise<Check[]>
  keys: {
    list(flags: Flags): Promise<KeyRow[]>
    /** The new key, shown this once. */
    create(flags: Flags, name: string): Promise<string>
    delete(flags: Flags, id: string): Promise<void>
  }
}

/** The flag that every command takes. */
export function withStateDir(command: Command): Command {
  return command.option('--state-dir <dir>', 'where the server keeps its state [E2B_SERVER_STATE_DIR]')
}
