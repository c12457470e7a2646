/** The unary RPCs that act on a running process. */
import { ServerError } from '../../domain/error.ts'
import { closeInput } from '../../guest/close-input.ts'
import { list as listGuest } from '../../guest/list.ts'
import { resize } from '../../guest/resize.ts'
import { signal as signalGuest } from '../../guest/signal.ts'
import {
  type CloseStdinRequest,
  type ListRequest,
  type SendSignalRequest,
  Signal,
  type UpdateRequest,
} from '../../wire/gen/envd/process/process_pb.ts'
import type { RpcCall } from '../rpc/rpc-call.ts'
import { toSelector } from './selector.ts'

export async function list(_: ListRequest, { target, signal }: RpcCall) {
  const processes = await listGuest(target.guest, signal)
  return {
    processes: processes.map(({ pid, cmd, args, env, cwd, tag }) => ({
      pid,
      config: { cmd, args, envs: env, ...(cwd === undefined ? {} : { cwd }) },
      ...(tag === undefined ? {} : { tag }),
    })),
  }
}

export async function update(request: UpdateRequest, { target, signal }: RpcCall): Promise<object> {
  const size = request.pty?.size
  if (size === undefined) {
    throw new ServerError('invalid_argument', 'pty.size is missing: a terminal is all that can be updated.')
  }
  await resize(target.guest, toSelector(request.process), { cols: size.cols, rows: size.rows }, signal)
  return {}
}

export async function sendSignal(request: SendSignalRequest, { target, signal }: RpcCall): Promise<object> {
  await signalGuest(target.guest, toSelector(request.process), signalName(request.signal), signal)
  return {}
}

function signalName(signal: Signal): 'SIGKILL' | 'SIGTERM' {
  if (signal === Signal.SIGKILL) return 'SIGKILL'
  if (signal === Signal.SIGTERM) return 'SIGTERM'
  throw new ServerError('unimplemented', 'Only SIGTERM and SIGKILL can be sent.')
}

export async function closeStdin(request: CloseStdinRequest, { target, signal }: RpcCall): Promise<object> {
  await closeInput(target.guest, toSelector(request.process), signal)
  return {}
}
