import type { CallOptions } from './call.ts'
import { frames, openStream, type Step, unexpectedFrame, type Values } from './exchange.ts'
import { type Fields, parseFields } from './fields.ts'
import { type Frame, frameType } from './frames.ts'
import type { Guest } from './guest.ts'
import { maxPid } from './selector.ts'

/** How a process ended. */
export interface ProcessExit {
  /** -1 after a signal */
  exitCode: number
  /** Whether it exited by itself */
  exited: boolean
  /** `exit status 1`, `signal: killed` */
  status: string
  /** The status again, unless the exit code is 0 */
  error?: string
  /** Its `timeoutMs` had passed */
  timedOut: boolean
}

export type ProcessEvent =
  | { type: 'stdout' | 'stderr' | 'pty'; bytes: Buffer }
  | { type: 'end'; exit: ProcessExit }

/** A process that is followed. Whoever stops iterating, or never begins, calls `events.return` to let go of it. */
export interface ProcessStream {
  pid: number
  /**
   * How many bytes the process's outputs had together before the first that comes here; absent from agents that keep
   * no output, as older ones
   */
  replayFrom?: number
  /** Output as it comes, then one `end`. Nothing is read ahead of the consumer. */
  events: Values<ProcessEvent>
}

/** Opens `exec` or `attach` and waits for the pid. */
export async function openProcessStream(
  guest: Guest,
  request: object,
  options: CallOptions,
): Promise<ProcessStream> {
  const { call, reply } = await openStream(guest, request, options, parseReply)
  return { ...reply, events: frames(call, toEvent) }
}

function parseReply(reply: Fields): { pid: number; replayFrom?: number } {
  const pid = reply.integer('pid', 1, maxPid)
  if (!reply.has('replayFrom')) return { pid }
  return { pid, replayFrom: reply.integer('replayFrom', 0, Number.MAX_SAFE_INTEGER) }
}

function toEvent(frame: Frame): Step<ProcessEvent> {
  switch (frame.type) {
    case frameType.stdout:
      return { value: { type: 'stdout', bytes: frame.payload } }
    case frameType.stderr:
      return { value: { type: 'stderr', bytes: frame.payload } }
    case frameType.pty:
      return { value: { type: 'pty', bytes: frame.payload } }
    case frameType.end:
      return { value: { type: 'end', exit: parseExit(parseFields(frame.payload)) }, done: true }
    default:
      throw unexpectedFrame(frame)
  }
}

function parseExit(fields: Fields): ProcessExit {
  const error = fields.optionalString('error')
  return {
    exitCode: fields.integer('exitCode', -0x8000_0000, 0x7fff_ffff),
    exited: fields.boolean('exited'),
    status: fields.string('status'),
    ...(error === undefined ? {} : { error }),
    timedOut: fields.has('timedOut') && fields.boolean('timedOut'),
  }
}
