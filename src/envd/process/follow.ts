import { create, type MessageInitShape } from '@bufbuild/protobuf'
import { ServerError } from '../../domain/error.ts'
import type { ProcessEvent, ProcessStream } from '../../guest/process-stream.ts'
import {
  type ProcessEvent as EventMessage,
  ProcessEventSchema,
} from '../../wire/gen/envd/process/process_pb.ts'
import type { RpcCall } from '../rpc/rpc-call.ts'
import { keepalive, withKeepalive } from './keepalive.ts'

export interface FollowOptions {
  /** Starts or attaches */
  open(): Promise<ProcessStream>
  /** The process was given this long to live, in milliseconds; its death from that is an error, not an `end` */
  processTimeoutMs?: number | undefined
}

/**
 * A process's events as `Start` and `Connect` send them: `start` at once, then data and keepalives, then `end`
 * (e2b-wire 3.2).
 */
export async function* follow(
  call: RpcCall,
  { open, processTimeoutMs }: FollowOptions,
): AsyncGenerator<{ event: EventMessage }, void> {
  try {
    const { pid, events } = await open()
    yield message({ event: { case: 'start', value: { pid } } })
    for await (const event of withKeepalive(events, call.keepaliveMs)) {
      if (processTimeoutMs !== undefined && isTimedOut(event)) {
        const reason = `The process was killed: it ran longer than ${processTimeoutMs} ms.`
        throw new ServerError('deadline_exceeded', reason)
      }
      yield toMessage(event)
    }
  } catch (thrown) {
    throw call.toConnectError(thrown)
  }
}

function isTimedOut(event: ProcessEvent | typeof keepalive): boolean {
  return event !== keepalive && event.type === 'end' && event.exit.timedOut
}

function toMessage(event: ProcessEvent | typeof keepalive): { event: EventMessage } {
  if (event === keepalive) return message({ event: { case: 'keepalive', value: {} } })
  if (event.type === 'end') {
    const { exitCode, exited, status, error } = event.exit
    const value = { exitCode, exited, status, ...(error === undefined ? {} : { error }) }
    return message({ event: { case: 'end', value } })
  }
  return message({ event: { case: 'data', value: { output: { case: event.type, value: event.bytes } } } })
}

function message(event: MessageInitShape<typeof ProcessEventSchema>): { event: EventMessage } {
  return { event: create(ProcessEventSchema, event) }
}
