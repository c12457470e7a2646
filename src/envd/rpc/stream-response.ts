/** The response of a server-streaming RPC: envelopes as they are given, and one that ends it (e2b-wire 3.1). */
import { create, type DescMessage, type MessageInitShape, toBinary, toJsonString } from '@bufbuild/protobuf'
import type { ConnectError } from '@connectrpc/connect'
import { endStreamToJson } from '@connectrpc/connect/protocol-connect'
import type { HttpResponse } from '../../domain/http.ts'
import { createWaiter } from '../../lib/waiter.ts'
import { type Codec, encodeEnvelope, envelopeFlags } from './envelope.ts'

export interface StreamResponse<Desc extends DescMessage> {
  readonly codec: Codec
  /** Adds a header, before anything is sent. */
  setHeader(name: string, value: string): void
  /** Sends messages as one piece. */
  send(...messages: MessageInitShape<Desc>[]): void
  /** Sends whole envelopes of the stream's codec as one piece. */
  write(envelopes: readonly Buffer[]): void
  /** Resolves when the client has taken what was sent but for a little. Errors: the signal's reason. */
  drained(): Promise<void>
  /** Ends the stream, with an error if there is one. */
  end(error?: ConnectError): void
}

export interface StreamResponseOptions<Desc extends DescMessage> {
  res: HttpResponse
  codec: Codec
  schema: Desc
  /** Aborts when nobody waits for the stream any more */
  signal: AbortSignal
  /** What is sent in silence; absent: nothing */
  keepalive?: MessageInitShape<Desc>
  /** Silence that is too long, in milliseconds */
  keepaliveMs: number
}

export function createStreamResponse<Desc extends DescMessage>(
  options: StreamResponseOptions<Desc>,
): StreamResponse<Desc> {
  const { res, codec, schema, signal, keepaliveMs } = options
  const room = createWaiter()
  let isFull = false
  let isOver = false
  let timer: NodeJS.Timeout | undefined

  const onDrain = () => {
    isFull = false
    room.wake()
  }
  const onAbort = () => {
    clearTimeout(timer)
    room.wake()
  }
  res.on('drain', onDrain)
  signal.addEventListener('abort', onAbort, { once: true })

  const encode = (message: MessageInitShape<Desc>) => encodeMessage(schema, codec, message)

  function begin(): void {
    if (!res.headersSent) res.writeHead(200, { 'content-type': `application/connect+${codec}` })
  }

  function push(bytes: Buffer): void {
    if (!res.write(bytes)) isFull = true
  }

  /** A client that doesn't even take what there is needs no sign of life, and gets none that would pile up. */
  function keepAlive(): void {
    if (!isFull && options.keepalive !== undefined) push(encode(options.keepalive))
    timer?.refresh()
  }

  function write(envelopes: readonly Buffer[]): void {
    if (isOver || signal.aborted) return
    begin()
    if (timer === undefined) timer = setTimeout(keepAlive, keepaliveMs)
    else timer.refresh()
    if (envelopes.length > 1) res.cork()
    for (const envelope of envelopes) push(envelope)
    if (envelopes.length > 1) res.uncork()
  }

  return {
    codec,
    setHeader: (name, value) => void res.setHeader(name, value),
    send: (...messages) => write(messages.map(encode)),
    write,
    async drained() {
      while (isFull) {
        signal.throwIfAborted()
        await room.wait()
      }
    },
    end(error) {
      if (isOver) return
      isOver = true
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      if (res.destroyed || res.writableEnded) return
      begin()
      res.end(encodeEnd(error))
    },
  }
}

/** A message in its envelope. */
function encodeMessage<Desc extends DescMessage>(
  schema: Desc,
  codec: Codec,
  init: MessageInitShape<Desc>,
): Buffer {
  const message = create(schema, init)
  return encodeEnvelope(0, codec === 'json' ? toJsonString(schema, message) : toBinary(schema, message))
}

/** The envelope that ends a stream, which is JSON in either codec. */
function encodeEnd(error: ConnectError | undefined): Buffer {
  return encodeEnvelope(
    envelopeFlags.endStream,
    JSON.stringify(endStreamToJson(new Headers(), error, undefined)),
  )
}
