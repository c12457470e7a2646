/** The RPCs that list running processes and act on one. */
import { ServerError } from '../../domain/error.ts'
import { closeInput } from '../../guest/close-input.ts'
import { list as listGuest, type RunningProcess } from '../../guest/list.ts'
import { resize } from '../../guest/resize.ts'
import { signal as signalGuest } from '../../guest/signal.ts'
import {
  CloseStdinRequestSchema,
  CloseStdinResponseSchema,
  ListRequestSchema,
  ProcessInfoSchema,
  SendSignalRequestSchema,
  SendSignalResponseSchema,
  Signal,
  UpdateRequestSchema,
  UpdateResponseSchema,
} from '../../wire/gen/envd/process/process_pb.ts'
import type { ListMethod, UnaryMethod } from '../rpc/unary-handler.ts'
import { toSelector } from './selector.ts'

export const list: ListMethod<typeof ListRequestSchema, typeof ProcessInfoSchema> = {
  input: ListRequestSchema,
  item: ProcessInfoSchema,
  field: { number: 1, name: 'processes' },
  async serve({ target, signal }) {
    return describe(await listGuest(target.guest, signal))
  },
}

async function* describe(processes: AsyncIterable<RunningProcess>) {
  for await (const { pid, cmd, args, env, cwd, tag } of processes) {
    const config = { cmd, args, envs: env, ...(cwd === undefined ? {} : { cwd }) }
    yield [{ pid, config, ...(tag === undefined ? {} : { tag }) }]
  }
}

export const update: UnaryMethod<typeof UpdateRequestSchema, typeof UpdateResponseSchema> = {
  input: UpdateRequestSchema,
  output: UpdateResponseSchema,
  async serve({ target, signal }, request) {
    const size = request.pty?.size
    if (size === undefined) {
      throw new ServerError('invalid_argument', 'pty.size is missing: a terminal is all that can be updated.')
    }
    await resize(target.guest, toSelector(request.process), { cols: size.cols, rows: size.rows }, signal)
    return {}
  },
}

export const sendSignal: UnaryMethod<typeof SendSignalRequestSchema, typeof SendSignalResponseSchema> = {
  input: SendSignalRequestSchema,
  output: SendSignalResponseSchema,
  async serve({ target, signal }, request) {
    await signalGuest(target.guest, toSelector(request.process), signalName(request.signal), signal)
    return {}
  },
}

function signalName(signal: Signal): 'SIGKILL' | 'SIGTERM' {
  if (signal === Signal.SIGKILL) return 'SIGKILL'
  if (signal === Signal.SIGTERM) return 'SIGTERM'
  throw new ServerError('unimplemented', 'Only SIGTERM and SIGKILL can be sent.')
}

export const closeStdin: UnaryMethod<typeof CloseStdinRequestSchema, typeof CloseStdinResponseSchema> = {
  input: CloseStdinRequestSchema,
  output: CloseStdinResponseSchema,
  async serve({ target, signal }, request) {
    await closeInput(target.guest, toSelector(request.process), signal)
    return {}
  },
}
