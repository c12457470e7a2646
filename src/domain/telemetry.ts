/**
 * What the server measures of itself, for its operator. Nothing here says whose it is: no tenant, sandbox or template has a
 * name in it, and every name there is comes from a list.
 */
import type { ErrorCode } from './error.ts'

/** What becomes of a sandbox, one of these at a time; `destroy` is what a kill leaves to do behind its answer. */
export type Operation = 'create' | 'resume' | 'pause' | 'kill' | 'destroy' | 'fork' | 'snapshot'

/** Why: somebody asked for it, traffic came, its time was over, its operator or the server's stop ended it, it is a fork. */
export type Cause = 'request' | 'traffic' | 'timeout' | 'admin' | 'shutdown' | 'fork'

/** Parts of operations in the order of their ends; docs/metrics.md says what each is. */
export const phases = [
  'validate',
  'template',
  'queue',
  'admission',
  'store',
  'claim',
  'recover',
  'network',
  'start',
  'agent',
  'resume',
  'configure',
  'ready',
  'withdraw',
  'backlog',
  'pause',
  'settle',
  'copy',
  'destroy',
  'forks',
  'record',
  'answer',
] as const
export type Phase = (typeof phases)[number]

/** Ends the phase that runs, under that name; the next one begins. */
export type EndPhase = (name: Phase) => void

export interface PhaseTime {
  name: Phase
  ms: number
}

export interface MeasuredOperation {
  operation: Operation
  cause: Cause
  /** Or what it failed with */
  outcome: 'ok' | ErrorCode
  phases: readonly PhaseTime[]
  totalMs: number
}

export interface AnsweredRequest {
  method: string
  /** As it is written where routes are made, with the names of its parameters; null: there is no such route */
  route: string | null
  status: number
  /** Null: it didn't fail */
  code: ErrorCode | null
}

/** Takes in what has been measured, in microseconds of its caller's time, and never fails. */
export interface Telemetry {
  operation(measured: MeasuredOperation): void
  request(answered: AnsweredRequest): void
}

/** What one process of the server takes, since it was last asked. */
export interface ProcessLoad {
  /** How late the event loop was, in ms */
  loopDelayMs: { mean: number; max: number }
  /** CPU time since its start, in ms */
  cpuMs: number
  rssBytes: number
  heapBytes: number
}

/** Requests that a data worker has taken in since its start, by what they were for. */
export interface RequestCounts {
  api: number
  envd: number
  /** Other ports */
  port: number
  /** For nothing that could be there */
  refused: number
  /** Connections that became streams of bytes */
  upgrade: number
}

export interface WorkerLoad extends ProcessLoad {
  requests: RequestCounts
}

/** Guests that were started ahead of their sandboxes, of one template. */
export interface WarmFigures {
  /** Ready for a sandbox */
  waiting: number
  /** Not yet */
  starting: number
  /** Creates that took one, and that found none ready, since the start of the server */
  claimed: number
  missed: number
}

/** How much waits and how much runs, by the name of what it waits for. */
export interface Backlog {
  waiting: number
  running: number
}
