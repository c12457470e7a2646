import { ServerError } from '../../domain/error.ts'
import { type ExecRequest, exec } from '../../guest/exec.ts'
import {
  type StartRequest,
  StartRequestSchema,
  StartResponseSchema,
} from '../../wire/gen/envd/process/process_pb.ts'
import type { RpcCall } from '../rpc/rpc-call.ts'
import type { StreamMethod } from '../rpc/stream-handler.ts'
import { follow, keepalive } from './follow.ts'
import { createProcessRecorder } from './process-recorder.ts'
import { recordOn } from './record-on.ts'

/** How much later than the process's own end the stream gives up waiting for word of it, in milliseconds. */
const timeoutGraceMs = 5_000

/**
 * The longest message, in bytes: Linux takes arguments and variables of 2 MiB together (a quarter of the usual limit of
 * stacks), and some for the rest.
 */
const startMaxBytes = (2 * 1024 + 64) * 1024

/**
 * Starts a process and follows it. A client that leaves doesn't end it; its time limit does, whether or not it has
 * left, and then the stream ends with `deadline_exceeded` (e2b-wire 3.2).
 */
export const start: StreamMethod<typeof StartRequestSchema, typeof StartResponseSchema> = {
  input: StartRequestSchema,
  output: StartResponseSchema,
  maxBytes: startMaxBytes,
  keepalive,
  async serve(call, request, response) {
    const { timeoutMs } = call
    if (timeoutMs !== undefined) call.limit(timeoutMs + timeoutGraceMs)
    const { target, signal } = call
    const toStart = toExec(request, call)
    const starting = exec(target.guest, toStart, signal)
    target.log?.starts?.add(starting)
    const process = await starting
    const recorder = target.log && createProcessRecorder(target.log.write)
    recorder?.started(process.pid, toStart)
    try {
      await follow(process, response, { timeoutMs, recorder })
    } finally {
      if (recorder?.hasEnded === false) void recordOn(target, process.pid, recorder)
    }
  },
}

function toExec({ process, pty, tag, stdin }: StartRequest, { user, timeoutMs }: RpcCall): ExecRequest {
  if (process === undefined)
    throw new ServerError('invalid_argument', 'process is missing: say what to start.')
  const { cmd, args, envs: env, cwd } = process
  return {
    cmd,
    args,
    env,
    // Absent means true, for clients older than the field.
    stdin: stdin ?? true,
    ...user,
    ...(cwd === undefined ? {} : { cwd }),
    ...(tag === undefined ? {} : { tag }),
    ...(pty === undefined ? {} : { pty: { cols: pty.size?.cols ?? 0, rows: pty.size?.rows ?? 0 } }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  }
}
