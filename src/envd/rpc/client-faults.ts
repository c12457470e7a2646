import { Code, ConnectError, type Interceptor } from '@connectrpc/connect'
import type { UniversalServerResponse } from '@connectrpc/connect/protocol'

/**
 * A stream of messages that can't be read is the client's mistake: the library calls it `internal`, which is ours to
 * say when the server is at fault.
 */
export const clientFaults: Interceptor = (next) => (request) =>
  next(request.stream ? { ...request, message: readable(request.message) } : request)

async function* readable<T>(messages: AsyncIterable<T>): AsyncIterable<T> {
  try {
    yield* messages
  } catch (thrown) {
    const error = ConnectError.from(thrown)
    if (error.code !== Code.Internal) throw thrown
    throw new ConnectError(error.rawMessage, Code.InvalidArgument, undefined, undefined, thrown)
  }
}

/** The same for the one message of a unary call, which the library reads before any interceptor. */
export async function withClientFault(response: UniversalServerResponse): Promise<UniversalServerResponse> {
  if (response.status !== 500 || response.body === undefined) return response
  const chunks: Uint8Array[] = []
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) chunks.push(chunk)
  const text = Buffer.concat(chunks).toString()
  if (!/^\{"code":"internal","message":"parse (binary|JSON)/.test(text)) {
    return { ...response, body: once(Buffer.from(text)) }
  }
  const body = Buffer.from(text.replace('internal', 'invalid_argument'))
  response.header?.delete('content-length')
  return { ...response, status: 400, body: once(body) }
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes
}
