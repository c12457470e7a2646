import { once } from 'node:events'
import { type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { lookTimeoutMs } from './check.ts'
import type { Running } from './running.ts'

/**
 * The status that a server answers with, asked where it listens and under its name, whatever resolvers and trust say
 * of it. `name`: what stands before the domain.
 */
export async function ask(
  { url, reach }: Running,
  path: string,
  headers: Record<string, string> = {},
  name: 'api' | 'sandbox' = 'api',
): Promise<number | undefined> {
  const { protocol, hostname, port } = new URL(url)
  const host = reach.host === '0.0.0.0' ? '127.0.0.1' : reach.host === '::' ? '::1' : reach.host
  const asked = protocol === 'https:' ? hostname.replace(/^api\./, `${name}.`) : 'localhost'
  const options = {
    host,
    port: port === '' ? 443 : port,
    path,
    headers: { host: asked, ...headers },
    signal: AbortSignal.timeout(lookTimeoutMs),
  }
  const sent =
    protocol === 'https:'
      ? requestHttps({ ...options, servername: asked, rejectUnauthorized: false, agent: false })
      : requestHttp({ ...options, agent: false })
  const [answer] = (await once(sent.end(), 'response')) as [IncomingMessage]
  answer.resume()
  return answer.statusCode
}
