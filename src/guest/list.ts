import { ServerError } from '../domain/error.ts'
import { frames, openStream, type Step, unexpectedFrame, type Values } from './exchange.ts'
import { type Fields, parseFields } from './fields.ts'
import { type Frame, frameType } from './frames.ts'
import type { Guest } from './guest.ts'
import { maxPid } from './selector.ts'

export interface RunningProcess {
  pid: number
  cmd: string
  args: string[]
  env: Record<string, string>
  cwd?: string
  tag?: string
}

/** What one list may take on the wire between agent and server, in bytes. */
const listMaxBytes = 256 * 1024 * 1024

/**
 * The running processes that `exec` started, as they come and at the pace of the consumer. Errors: `unavailable`,
 * `internal`, `canceled`; while iterating also `resource_exhausted` (too long).
 */
export async function list(guest: Guest, signal: AbortSignal): Promise<Values<RunningProcess>> {
  const { call } = await openStream(guest, { op: 'list' }, { signal }, () => undefined)
  let bytes = 0
  return frames(call, (frame: Frame): Step<RunningProcess> => {
    if (frame.type === frameType.end) return { done: true }
    if (frame.type !== frameType.item) throw unexpectedFrame(frame)
    bytes += frame.payload.length
    if (bytes > listMaxBytes) {
      throw new ServerError(
        'resource_exhausted',
        'The command lines and variables of the running processes are too long to list.',
      )
    }
    return { value: parseProcess(parseFields(frame.payload).object('process')) }
  })
}

function parseProcess(fields: Fields): RunningProcess {
  const cwd = fields.optionalString('cwd')
  const tag = fields.optionalString('tag')
  return {
    pid: fields.integer('pid', 1, maxPid),
    cmd: fields.string('cmd'),
    args: fields.strings('args'),
    env: fields.stringMap('env'),
    ...(cwd === undefined ? {} : { cwd }),
    ...(tag === undefined ? {} : { tag }),
  }
}
