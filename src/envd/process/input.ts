import { ServerError, toError } from '../../domain/error.ts'
import type { Guest } from '../../guest/guest.ts'
import { type InputTarget, input } from '../../guest/input.ts'
import type { Selector } from '../../guest/selector.ts'
import {
  type ProcessInput,
  SendInputRequestSchema,
  SendInputResponseSchema,
  type StreamInputRequest,
  StreamInputRequestSchema,
  StreamInputResponseSchema,
} from '../../wire/gen/envd/process/process_pb.ts'
import type { InputStreamMethod } from '../rpc/input-stream.ts'
import { controlMaxBytes } from '../rpc/message-body.ts'
import type { UnaryMethod } from '../rpc/unary-handler.ts'
import { toSelector } from './selector.ts'

/** The longest message that has input, in bytes. */
const inputMaxBytes = 16 * 1024 * 1024

/** Feeds a process once. No bytes are valid. */
export const sendInput: UnaryMethod<typeof SendInputRequestSchema, typeof SendInputResponseSchema> = {
  input: SendInputRequestSchema,
  output: SendInputResponseSchema,
  maxBytes: inputMaxBytes,
  textMaxBytes: controlMaxBytes,
  async serve({ target, signal }, request) {
    const { kind, bytes } = toInput(request.input)
    await input(target.guest, { process: toSelector(request.process), kind }, once(bytes), signal)
    return {}
  },
}

/** Feeds a process for as long as the client sends. */
export const streamInput: InputStreamMethod<
  typeof StreamInputRequestSchema,
  typeof StreamInputResponseSchema
> = {
  input: StreamInputRequestSchema,
  output: StreamInputResponseSchema,
  maxBytes: inputMaxBytes,
  textMaxBytes: controlMaxBytes,
  async serve({ target, signal }, requests) {
    const iterator = requests[Symbol.asyncIterator]()
    const process = toStart((await iterator.next()).value)
    await requireProcess(process, target.guest, signal)
    const first = await nextInput(iterator)
    if (first !== undefined) {
      const feedTarget: InputTarget = { process, kind: first.kind }
      await input(target.guest, feedTarget, inputs(first, iterator), signal)
    }
    return {}
  },
}

function toStart(request: StreamInputRequest | undefined): Selector {
  if (request?.event.case === 'start') return toSelector(request.event.value.process)
  throw new ServerError('invalid_argument', 'The first message must be start, with the process to feed.')
}

/** Whether there is such a process, before the client has anything for it. Errors: `not_found` and those of the call. */
async function requireProcess(process: Selector, guest: Guest, signal: AbortSignal): Promise<void> {
  try {
    await input(guest, { process, kind: 'stdin' }, none(), signal)
  } catch (thrown) {
    // It is there, with a terminal or a closed stdin, which is a mistake only if it is to be fed.
    const { code } = toError(thrown)
    if (code !== 'failed_precondition' && code !== 'internal') throw thrown
  }
}

async function* none(): AsyncGenerator<Uint8Array> {}

type Input = { kind: InputTarget['kind']; bytes: Uint8Array }

async function* inputs(
  first: Input,
  iterator: AsyncIterator<StreamInputRequest>,
): AsyncGenerator<Uint8Array> {
  for (let next: Input | undefined = first; next !== undefined; next = await nextInput(iterator)) {
    if (next.kind !== first.kind) {
      throw new ServerError('invalid_argument', 'One stream feeds either stdin or pty, not both.')
    }
    yield next.bytes
  }
}

/** The next input, keepalives left out; undefined at the end. */
async function nextInput(iterator: AsyncIterator<StreamInputRequest>): Promise<Input | undefined> {
  for (;;) {
    const { done, value } = await iterator.next()
    if (done) return undefined
    const { event } = value as StreamInputRequest
    if (event.case === 'data') return toInput(event.value.input)
    if (event.case !== 'keepalive') {
      throw new ServerError('invalid_argument', 'After start, messages must be data or keepalive.')
    }
  }
}

function toInput(message: ProcessInput | undefined): Input {
  const input = message?.input
  if (input?.case === undefined) throw new ServerError('invalid_argument', 'input must have stdin or pty.')
  return { kind: input.case, bytes: input.value }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
