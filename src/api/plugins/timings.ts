import type { FastifyInstance, FastifyReply } from 'fastify'
import type { ErrorCode } from '../../domain/error.ts'
import type { EndPhase, Phase, Telemetry } from '../../domain/telemetry.ts'
import { anySignal } from '../../lib/deadline.ts'
import { patientSignal } from '../../lib/patience.ts'
import { type PhaseClock, startPhaseClock } from '../../lib/phase-clock.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Closes the current phase; its duration appears in `Server-Timing` */
    phase: EndPhase
    clock: PhaseClock<Phase>
    /** What it was refused or failed with; null: it wasn't */
    failure: ErrorCode | null
  }
}

/**
 * Tells `telemetry` of each request that is answered, and reports in `Server-Timing` how long each phase of it took, in
 * milliseconds; the phases add up to `total`.
 */
export function addTimings(app: FastifyInstance, telemetry: Telemetry): void {
  app.decorateRequest('phase')
  app.decorateRequest('clock')
  app.decorateRequest('failure', null)
  app.addHook('onRequest', async (request) => {
    request.clock = startPhaseClock()
    request.phase = request.clock.end
  })
  app.addHook('onSend', async (request, reply) => {
    const { clock } = request
    if (clock.phases.length === 0) return
    clock.end('answer')
    const parts = clock.phases.map(({ name, ms }) => `${name};dur=${ms.toFixed(2)}`)
    const total = clock.phases.reduce((sum, { ms }) => sum + ms, 0)
    reply.header('server-timing', `${parts.join(', ')}, total;dur=${total.toFixed(2)}`)
  })
  app.addHook('onResponse', async ({ method, routeOptions, failure }, { statusCode }) => {
    telemetry.request({ method, route: routeOptions.url ?? null, status: statusCode, code: failure })
  })
}

/** Aborts when the client leaves before its answer, or after `timeoutMs`. */
export function requestSignal(reply: FastifyReply, timeoutMs: number): AbortSignal {
  const left = new AbortController()
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) left.abort(new DOMException('The client left.', 'AbortError'))
  })
  return anySignal(left.signal, patientSignal(timeoutMs))
}
