/** Requests as any client makes them, with whatever headers. */
import { request } from 'node:http'
import { text } from 'node:stream/consumers'
import { attacked } from './attacked.ts'

export interface Asked {
  status: number
  text: string
}

/** `GET /path`, with a header in lines of its own where a list is given. */
export async function ask(
  what: string,
  {
    headers = {},
    body,
    url = attacked().url,
  }: { headers?: Headers; body?: string | Buffer; url?: string } = {},
): Promise<Asked> {
  const [method, path] = what.split(' ') as [string, string]
  const { hostname, port } = new URL(url)
  const type =
    typeof body === 'string' && !('content-type' in headers) ? { 'content-type': 'application/json' } : {}
  return await new Promise((resolve, reject) => {
    const sent = request({ hostname, port, method, path, headers: { ...type, ...headers }, agent: false })
    sent.on('error', reject)
    sent.on('response', (res) => {
      text(res).then((answered) => resolve({ status: res.statusCode ?? 0, text: answered }), reject)
    })
    sent.end(body)
  })
}

type Headers = Record<string, string | string[]>

/** Headers for a port of a sandbox. */
export function routeTo(id: string, port = 49983): Record<string, string> {
  return { 'e2b-sandbox-id': id, 'e2b-sandbox-port': String(port) }
}
