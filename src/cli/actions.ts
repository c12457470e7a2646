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

/** What `doctor` looked at together, such as the machine. */
export interface CheckGroup {
  name: string
  checks: Check[]
}

export interface ServerStatus {
  stateDir: string
  /** Null: none runs */
  server: {
    /** `silent`: its process is there, and nothing answers where it listens */
    state: 'starting' | 'answering' | 'silent' | 'stopping'
    pid: number
    /** Of the API; null until it listens */
    url: string | null
    version: string | null
    /** Unix milliseconds */
    startedAt: number | null
  } | null
  sandboxes: { running: number; paused: number }
}

export interface LogRequest {
  /** Whose log; undefined: the server's */
  sandboxId: string | undefined
  /** How many of the last lines, as given */
  lines: string
  json: boolean
}

/** Lines without their newlines. */
export type LogLines = AsyncGenerator<string>

export interface KeyRow {
  id: string
  name: string
  mask: string
  createdAt: Date
  /** Null: never */
  lastUsedAt: Date | null
}

export interface TeamRow {
  id: string
  slug: string
  name: string
  createdAt: Date
  /** By the flag that sets it: a number, `unlimited` or `default` */
  limits: Record<string, string>
}

/** What `domain on` has made of this machine. */
export interface DomainStatus {
  /** Without a port */
  domain: string
  /** In words: by what names are found; null: that was left as it was */
  names: string | null
  /** Where its authority's certificate is; null: trust was left as it was */
  trust: string | null
  /** False: something broke off, or failed */
  isWhole: boolean
  /** `waiting`: it comes with the server's next start */
  parts: { path: string; state: 'there' | 'changed' | 'missing' | 'waiting' }[]
}

export interface TemplateRow {
  id: string
  /** With their namespace */
  names: string[]
  /** Of the newest build */
  status: string
  cpuCount: number
  memoryMb: number
  isPublic: boolean
  createdAt: Date
  /** Sandboxes that were ever made of it */
  spawnCount: number
}

/** A template that is made by a recipe, for every team. */
export interface StockRow {
  names: string[]
  state: 'ready' | 'building' | 'failed' | 'missing'
  /** False: what sandboxes get, if anything, is of an earlier recipe */
  isCurrent: boolean
  /** How far a build that runs is, or why the newest failed */
  detail: string | null
  cpuCount: number
  memoryMb: number
}

export interface BuildRequest {
  /** Of a Dockerfile, or the folder with one */
  path: string
  name: string | undefined
  cpuCount: number | undefined
  memoryMb: number | undefined
  readyCmd: string | undefined
  /** Makes every step again */
  isFresh: boolean
}

/** What is measured, of what, and where it goes. */
export interface BenchRequest {
  /** Of a server that runs; undefined: servers of its own are started */
  url: string | undefined
  /** Where its sandboxes are asked; undefined: where it is */
  sandboxUrl: string | undefined
  apiKey: string | undefined
  /** Of its own servers */
  runtime: string
  isQuick: boolean
  /** What alone is measured, by name; undefined: everything */
  only: string[] | undefined
  /** Sandboxes that are there at once; undefined: as many as fit, at most 1,000 */
  idle: number | undefined
  /** Paths of files to write */
  json: string | undefined
  svg: string | undefined
  /** Path of an earlier run's JSON */
  compare: string | undefined
}

/** What was freed. */
export interface FreedRow {
  builds: number
  images: number
  layers: number
  files: number
  bytes: number
}

export interface Actions {
  /** Resolves when the server has stopped. */
  start(flags: Flags): Promise<void>
  /** The variables that point an E2B SDK at the server; null: one that must not be set. */
  env(flags: Flags): Promise<Record<string, string | null>>
  doctor(flags: Flags): Promise<CheckGroup[]>
  /** Prints as it goes; resolves when everything is removed that it made, after Ctrl-C too. */
  bench(flags: Flags): Promise<void>
  status(flags: Flags): Promise<ServerStatus>
  /** Resolves with what is to be said when the server has ended. */
  stop(flags: Flags): Promise<string>
  /** `isFollowed`: goes on until Ctrl-C. */
  logs(flags: Flags, request: LogRequest & { isFollowed: boolean }): LogLines
  /** This machine's names and trust. What was done, or with `dryRun` would be, in lines. */
  domain: {
    on(flags: Flags): Promise<string[]>
    off(flags: Flags): Promise<string[]>
    /** Null: it is off. */
    status(flags: Flags): DomainStatus | null
  }
  teams: {
    list(flags: Flags): Promise<TeamRow[]>
    create(flags: Flags, slug: string): Promise<TeamRow>
    /** Sets what flags name. */
    limits(flags: Flags, team: string): Promise<TeamRow>
  }
  /** Of the team that flags name, else of the one that a server starts with, on the server that runs. */
  templates: {
    list(flags: Flags): Promise<{ own: TemplateRow[]; stock: StockRow[] }>
    /** Of a path, or of a stock template's name. Lines that say what happens. */
    build(flags: Flags, what: string): AsyncGenerator<string>
    /** What the newest build of a template said, a stock template's too. */
    log(flags: Flags, template: string): AsyncGenerator<string>
    /** A stock template's too. */
    delete(flags: Flags, template: string): Promise<void>
    /** Of all teams. */
    gc(flags: Flags): Promise<FreedRow>
  }
  /** Of the team that flags name, else of the one that a server starts with. */
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

/** The flag of commands that are about one team's keys. */
export function withTeam(command: Command): Command {
  return command.option('--team <team>', 'slug or id of the team (default: the server’s first)')
}
