/**
 * A running sandbox as traffic sees it. The edge finds one by id and knows nothing of guests or runtimes; the
 * orchestrator owns them and implements this.
 */
import type { Duplex } from 'node:stream'
import type { HttpRequest, HttpResponse } from './http.ts'
import type { IngressRules } from './network.ts'

export interface LiveSandbox {
  readonly id: string
  /** What requests to its API must carry, and what signed URLs are made with; null: nothing */
  readonly accessToken: string | null
  /** What traffic to its ports but envd's must show, and how it is passed on */
  readonly ingress: Ingress
  /**
   * Aborts when the sandbox stops taking traffic. By then `find` no longer returns it; whoever holds a connection
   * destroys it at once and abruptly, as clients tell a killed sandbox by that (e2b-wire 3.9).
   */
  readonly gone: AbortSignal
  /** Serves one request to envd, the API on port 49983. Never throws; answers errors itself. */
  envd(req: HttpRequest, res: HttpResponse): void
  /**
   * A raw byte stream to a TCP port inside. Errors: `unavailable` with `errno` `ECONNREFUSED` when nobody
   * listens there.
   */
  dial(port: number, signal: AbortSignal): Promise<Duplex>
}

/** The rules for traffic to a sandbox's ports; fixed for its life. */
export interface Ingress extends Pick<IngressRules, 'maskRequestHost' | 'httpsPorts'> {
  /** What requests must carry; null: the ports are open to whoever knows their name */
  trafficAccessToken: string | null
}

/** Ports that anybody may speak to, in plain HTTP and under the name that was asked for. */
export const openIngress: Ingress = { trafficAccessToken: null, maskRequestHost: null, httpsPorts: [] }

export interface SandboxDirectory {
  /** One of those that take traffic now. */
  find(id: string): LiveSandbox | undefined
  /** The same ones, all of them. */
  all(): Iterable<LiveSandbox>
}

/** What a request brings that may wake a paused sandbox. */
export interface WakeRequest {
  port: number
  /** `X-Access-Token` */
  accessToken: string | undefined
  /** `e2b-traffic-access-token` */
  trafficAccessToken: string | undefined
}

/**
 * Wakes a paused sandbox whose owner allows traffic to, and waits until it takes traffic; also waits for one that is
 * on its way to run. Undefined: there is nothing to wake, the request is answered as for an unknown sandbox. Errors:
 * `forbidden` (the request lacks a token), `conflict` (a transition that doesn't end), `resource_exhausted`,
 * `unavailable`, `deadline_exceeded`, `canceled`.
 */
export type WakeSandbox = (
  id: string,
  request: WakeRequest,
  signal: AbortSignal,
) => Promise<LiveSandbox | undefined>
