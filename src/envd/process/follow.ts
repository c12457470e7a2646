import type { MessageInitShape } from '@bufbuild/protobuf'
import { ServerError } from '../../domain/error.ts'
import type { ProcessExit, ProcessStream } from '../../guest/process-stream.ts'
import type {
  ConnectResponseSchema,
  ProcessEventSchema,
  StartResponseSchema,
} from '../../wire/gen/envd/process/process_pb.ts'
import type { StreamResponse } from '../rpc/stream-response.ts'
import { createOutputBatch } from './output-batch.ts'
import type { ProcessRecorder } from './process-recorder.ts'

/** What both `Start` and `Connect` answer with: the two messages are alike. */
export type ProcessResponse = StreamResponse<typeof StartResponseSchema | typeof ConnectResponseSchema>

/** What both send in silence. */
export const keepalive: { event: MessageInitShape<typeof ProcessEventSchema> } = {
  event: { event: { case: 'keepalive', value: {} } },
}

export interface FollowOptions {
  /** How long the process may live, in milliseconds */
  timeoutMs?: number | undefined
  recorder?: ProcessRecorder | undefined
}

/**
 * Sends a process's events: `start` at once, then output as it comes and at the pace the client takes it, then `end`
 * (e2b-wire 3.2). A process that was killed for having lived `timeoutMs` has no `end`. Errors:
 * `deadline_exceeded` for that; those of the stream.
 */
export async function follow(
  { pid, events }: ProcessStream,
  response: ProcessResponse,
  { timeoutMs, recorder }: FollowOptions = {},
): Promise<void> {
  try {
    response.send({ event: { event: { case: 'start', value: { pid } } } })
    const exit = await sendOutput(events, response, recorder)
    recorder?.ended(exit)
    if (timeoutMs !== undefined && exit.timedOut) {
      const reason = `The process was killed: it ran longer than ${timeoutMs} ms.`
      throw new ServerError('deadline_exceeded', reason)
    }
    response.send({ event: { event: { case: 'end', value: toEnd(exit) } } })
  } finally {
    await events.return()
  }
}

async function sendOutput(
  events: ProcessStream['events'],
  response: ProcessResponse,
  recorder: ProcessRecorder | undefined,
): Promise<ProcessExit> {
  const batch = createOutputBatch()
  for (;;) {
    const { value: first } = await events.next()
    if (first === undefined) throw new Error('A process stream ended without its end.')
    try {
      for (let event: typeof first | undefined = first; event !== undefined; event = events.take()) {
        if (event.type === 'end') return event.exit
        batch.add(event.type, event.bytes)
        recorder?.output(event.type, event.bytes)
      }
    } finally {
      response.write(batch.take(response.codec))
    }
    await response.drained()
  }
}

function toEnd({ exitCode, exited, status, error }: ProcessExit) {
  return { exitCode, exited, status, ...(error === undefined ? {} : { error }) }
}
