import type { ServerError } from '../domain/error.ts'
import { ProtocolViolation } from '../guest/frames.ts'
import type { Log } from '../lib/log.ts'
import type { EnvdTarget } from './target.ts'

/** What goes wrong for sandboxes, as the operator is told: no sandbox can fill the log. */
export interface EnvdLog {
  /** Logs an error whose cause the client isn't told. */
  report(target: EnvdTarget, error: ServerError): void
}

/** How writing to a client that has left fails. */
const clientLeft = ['EPIPE', 'ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_DESTROYED']

/** How long the lines of a sandbox are counted together, in milliseconds. */
const windowMs = 60_000
/** Lines of one sandbox in that time: of violations, which say nothing new, and of other errors. */
const violationsMax = 1
const faultsMax = 10

/** What one sandbox had since its time began. */
interface Window {
  violations: number
  faults: number
}

export function createEnvdLog(log: Log): EnvdLog {
  const windows = new Map<string, Window>()

  function windowOf(sandboxId: string): Window {
    const open = windows.get(sandboxId)
    if (open !== undefined) return open
    const window = { violations: 0, faults: 0 }
    windows.set(sandboxId, window)
    setTimeout(() => {
      windows.delete(sandboxId)
      const violations = Math.max(0, window.violations - violationsMax)
      const faults = Math.max(0, window.faults - faultsMax)
      if (violations + faults === 0) return
      log.warn({ sandboxId, violations, faults }, 'more of a sandbox’s requests failed in the last minute')
    }, windowMs).unref()
    return window
  }

  return {
    report({ sandboxId }, error) {
      const { cause } = error
      if (error.code !== 'internal' || cause === undefined) return
      if (cause instanceof ProtocolViolation) {
        if (++windowOf(sandboxId).violations > violationsMax) return
        log.warn({ sandboxId, violation: cause.detail }, "a sandbox's agent broke its protocol")
        return
      }
      const { code } = cause as { code?: unknown }
      if (typeof code === 'string' && clientLeft.includes(code)) return
      if (++windowOf(sandboxId).faults > faultsMax) return
      log.error({ sandboxId, err: cause }, 'envd could not serve a request')
    },
  }
}
