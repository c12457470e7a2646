/**
 * What the owner of sandboxes and a data worker say to each other (`spec/data-plane.md`). What a worker says is checked
 * here before anybody acts on it: it is the process that takes in tenants' bytes.
 */
import type { DirectoryEntry } from '../domain/data-plane.ts'
import { type ErrorCode, isErrorCode, type ServerError } from '../domain/error.ts'
import type { WakeRequest } from '../domain/live-sandbox.ts'
import { isSandboxId } from '../domain/sandbox-id.ts'
import { logLevels, type SandboxLogEntry } from '../domain/sandbox-log.ts'
import type { WorkerLoad } from '../domain/telemetry.ts'

/** The longest message, in bytes: a sandbox with the largest environment that the API takes. */
export const messageMaxBytes = 4 * 2 ** 20

/** Of the protocol; both sides are of one release, and a worker of another is refused. */
export const protocolVersion = 1

/** What a worker is to be. */
export interface WorkerSettings {
  /** The server's own domain; null: none */
  domain: string | null
  /** Certificate and key to speak TLS with; null: no TLS */
  credentials: { cert: string; key: string } | null
  /** Requests and upgrades of one sandbox at once */
  maxConnections: number
  /** Where the API listens: the path of a unix socket */
  apiSocket: string
  logLevel: string
}

export type ToWorker =
  | { type: 'hello'; version: number; settings: WorkerSettings }
  | { type: 'admit'; entry: DirectoryEntry; fresh: boolean }
  | { type: 'withdraw'; ref: number; id: string }
  | { type: 'catch-up'; ref: number }
  /** All that takes traffic has been told; from now on there are changes only */
  | { type: 'synced' }
  | { type: 'answer'; ref: number; outcome: Outcome }
  | { type: 'record'; id: string; pids: number[] }
  | { type: 'credentials'; cert: string; key: string }

/** How a question ended: whether the sandbox takes traffic, or why that can't be said. */
export type Outcome = { live: boolean } | { code: ErrorCode; message: string; retryAfterS?: number }

/** One line of a sandbox's log. */
export interface LogLine {
  id: string
  entry: SandboxLogEntry
}

export type FromWorker =
  | { type: 'ready'; version: number }
  | { type: 'alive'; load: WorkerLoad }
  | { type: 'done'; ref: number }
  | { type: 'wake'; ref: number; id: string; request: WakeRequest }
  | { type: 'debug'; ref: number }
  | { type: 'cancel'; ref: number }
  | { type: 'log'; lines: LogLine[] }

/** A failure as it crosses: its code and its sentence, never its cause. */
export function outcomeOf(error: ServerError): Outcome {
  const { code, message, retryAfterS } = error
  return { code, message, ...(retryAfterS !== undefined && { retryAfterS }) }
}

/** Lines of one message: however they are escaped it stays below the longest. */
export const logLinesMax = 64
const tokenMaxLength = 8192
const messageMaxLength = 16_384
const fieldsMax = 16

/** What a worker has said. Errors: a sentence for the log on anything else. */
export function readFromWorker(value: unknown): FromWorker {
  if (!isRecord(value)) throw new Error('a message that is not an object')
  const { type } = value
  switch (type) {
    case 'alive':
      return { type, load: workerLoad(value.load) }
    case 'ready':
      return { type, version: whole(value.version) }
    case 'done':
    case 'debug':
    case 'cancel':
      return { type, ref: whole(value.ref) }
    case 'wake':
      return { type, ref: whole(value.ref), id: sandboxId(value.id), request: wakeRequest(value.request) }
    case 'log': {
      const { lines } = value
      if (!Array.isArray(lines) || lines.length > logLinesMax) throw new Error('a log of another shape')
      return { type, lines: lines.map(logLine) }
    }
    default:
      throw new Error('a message of an unknown type')
  }
}

/** What `outcomeOf` has made, as the other side reads it; an unknown code is an internal error. */
export function codeOf({ code }: Extract<Outcome, { code: ErrorCode }>): ErrorCode {
  return isErrorCode(code) ? code : 'internal'
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function whole(value: unknown): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number
  throw new Error('a number out of range')
}

function amount(value: unknown): number {
  if (typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER) return value
  throw new Error('an amount out of range')
}

function text(value: unknown, maxLength: number): string {
  if (typeof value === 'string' && value.length <= maxLength) return value
  throw new Error('a text out of range')
}

function sandboxId(value: unknown): string {
  const id = text(value, 64)
  if (isSandboxId(id)) return id
  throw new Error('an id of no sandbox')
}

function wakeRequest(value: unknown): WakeRequest {
  if (!isRecord(value)) throw new Error('a request of another shape')
  const token = (given: unknown) => (given === undefined ? undefined : text(given, tokenMaxLength))
  const port = whole(value.port)
  if (port < 1 || port > 65_535) throw new Error('a port out of range')
  return {
    port,
    accessToken: token(value.accessToken),
    trafficAccessToken: token(value.trafficAccessToken),
  }
}

function workerLoad(value: unknown): WorkerLoad {
  if (!isRecord(value) || !isRecord(value.loopDelayMs) || !isRecord(value.requests)) {
    throw new Error('a load of another shape')
  }
  const { loopDelayMs, requests } = value
  return {
    loopDelayMs: { mean: amount(loopDelayMs.mean), max: amount(loopDelayMs.max) },
    cpuMs: amount(value.cpuMs),
    rssBytes: whole(value.rssBytes),
    heapBytes: whole(value.heapBytes),
    requests: {
      api: whole(requests.api),
      envd: whole(requests.envd),
      port: whole(requests.port),
      refused: whole(requests.refused),
      upgrade: whole(requests.upgrade),
    },
  }
}

function logLine(value: unknown): LogLine {
  if (!isRecord(value) || !isRecord(value.entry)) throw new Error('a log line of another shape')
  const { at, level, message, fields } = value.entry
  const known = logLevels.find((each) => each === level)
  if (known === undefined || !isRecord(fields)) throw new Error('a log line of another shape')
  const pairs = Object.entries(fields)
  if (pairs.length > fieldsMax) throw new Error('a log line with too many fields')
  return {
    id: sandboxId(value.id),
    entry: {
      at: whole(at),
      level: known,
      message: text(message, messageMaxLength),
      fields: Object.fromEntries(
        pairs.map(([name, field]) => [text(name, 64), text(field, messageMaxLength)]),
      ),
    },
  }
}
