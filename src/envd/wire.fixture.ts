/** Requests and responses as bytes: what is compared here is what crosses the network. */
import { Agent, request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { encodeEnvelope } from './rpc/envelope.ts'

export interface WireResponse {
  status: number
  headers: IncomingMessage['headers']
  body: Buffer
}

export interface WireRequest {
  method?: string
  headers?: OutgoingHttpHeaders
  body?: Buffer | string
}

/** A connection for each request: one that is kept may end just as it is used again. */
const agent = new Agent({ keepAlive: false })

/** Sends a request that nobody adds anything to, and resolves with the response's head. */
export function send(url: string, { method = 'POST', headers = {}, body }: WireRequest) {
  return new Promise<IncomingMessage>((resolve, reject) => {
    httpRequest(url, { method, headers, agent }, resolve).on('error', reject).end(body)
  })
}

export async function exchange(url: string, request: WireRequest): Promise<WireResponse> {
  const response = await send(url, request)
  return { status: response.statusCode ?? 0, headers: response.headers, body: await buffer(response) }
}

/** Calls a streaming RPC with one JSON message. */
export function callStream(
  url: string,
  message: object | string,
  headers: OutgoingHttpHeaders = {},
): Promise<IncomingMessage> {
  const text = typeof message === 'string' ? message : JSON.stringify(message)
  return send(url, {
    headers: { 'content-type': 'application/connect+json', ...headers },
    body: encodeEnvelope(0, text),
  })
}

/** A whole stream as its flags and texts, e.g. `[[0, '{"event":…}'], [2, '{}']]`. */
export async function envelopesOf(response: IncomingMessage): Promise<[flags: number, text: string][]> {
  return splitEnvelopes(await buffer(response)).map(([flags, message]) => [flags, message.toString()])
}

export function splitEnvelopes(body: Buffer): [flags: number, message: Buffer][] {
  const envelopes: [number, Buffer][] = []
  for (let at = 0; at < body.length; ) {
    const end = at + 5 + body.readUInt32BE(at + 1)
    if (end > body.length) throw new Error('the body ends within an envelope')
    envelopes.push([body.readUInt8(at), body.subarray(at + 5, end)])
    at = end
  }
  return envelopes
}

/** A stream's envelopes as they come. */
export async function* readEnvelopes(response: IncomingMessage): AsyncGenerator<[number, string], void> {
  let rest = Buffer.alloc(0)
  for await (const chunk of response) {
    rest = Buffer.concat([rest, chunk])
    for (let end = endOf(rest); end <= rest.length; end = endOf(rest)) {
      yield [rest.readUInt8(0), rest.subarray(5, end).toString()]
      rest = rest.subarray(end)
    }
  }
}

function endOf(bytes: Buffer): number {
  return bytes.length < 5 ? Number.POSITIVE_INFINITY : 5 + bytes.readUInt32BE(1)
}
