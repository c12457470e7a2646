/**
 * A running sandbox as traffic sees it. The edge finds one by id and knows nothing of guests or runtimes; the
 * orchestrator owns them and implements this.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

export interface LiveSandbox {
  readonly id: string
  /**
   * Aborts when the sandbox stops taking traffic. By then `find` no longer returns it; whoever holds a connection
   * destroys it at once and abruptly, as clients tell a killed sandbox by that (e2b-wire 3.9).
   */
  readonly gone: AbortSignal
  /** Serves one request to envd, the API on port 49983. Never throws; answers errors itself. */
  envd(req: IncomingMessage, res: ServerResponse): void
  /**
   * A raw byte stream to a TCP port inside. Errors: `unavailable` with `errno` `ECONNREFUSED` when nobody
   * listens there.
   */
  dial(port: number, signal: AbortSignal): Promise<Duplex>
}

export interface SandboxDirectory {
  /** Only sandboxes that take traffic now. */
  find(id: string): LiveSandbox | undefined
}
