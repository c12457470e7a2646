import type { Duplex } from 'node:stream'
import { toError } from '../domain/error.ts'
import type { LiveSandbox } from '../domain/live-sandbox.ts'
import { sleep } from '../lib/deadline.ts'
import { startPatience } from '../lib/patience.ts'
import { secure } from './upstream/secure.ts'

/** Pauses between tries at a closed port: a server inside may have been started a moment ago (e2b-wire 3.9). */
const pausesMs = [100, 200, 300, 400]
/** Bound of the whole, tries and pauses together. */
const dialTimeoutMs = 10_000

/**
 * A stream to a port inside, tried again while nobody listens there, and encrypted where the sandbox says that its
 * server speaks TLS; it is told that `host` was asked for. Aborting `controller` ends it, and so does the
 * time limit, which aborts it. Errors: `unavailable` with `errno` `ECONNREFUSED` (closed after all tries),
 * `deadline_exceeded`, `canceled`, and those of `LiveSandbox.dial` and `secure`.
 */
export async function dialPatiently(
  sandbox: LiveSandbox,
  port: number,
  host: string,
  controller: AbortController,
): Promise<Duplex> {
  const patience = startPatience(dialTimeoutMs, () =>
    controller.abort(new DOMException('Connecting took too long', 'TimeoutError')),
  )
  try {
    const stream = await tryRepeatedly(sandbox, port, controller.signal)
    return sandbox.ingress.httpsPorts.includes(port) ? await secure(stream, host, controller.signal) : stream
  } finally {
    patience.stop()
  }
}

async function tryRepeatedly(sandbox: LiveSandbox, port: number, signal: AbortSignal): Promise<Duplex> {
  for (let attempt = 0; ; attempt++) {
    try {
      signal.throwIfAborted()
      return await sandbox.dial(port, signal)
    } catch (thrown) {
      const error = toError(signal.aborted ? signal.reason : thrown)
      const pauseMs = pausesMs[attempt]
      if (error.errno !== 'ECONNREFUSED' || pauseMs === undefined) throw error
      await sleep(pauseMs, signal).catch((reason) => Promise.reject(toError(reason)))
    }
  }
}
