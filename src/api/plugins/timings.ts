import type { FastifyInstance, FastifyReply } from 'fastify'
import { anySignal } from '../../lib/deadline.ts'
import { patientSignal } from '../../lib/patience.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Closes the current phase; its duration appears in `Server-Timing` */
    phase: (name: string) => void
    phases: string[]
    /** Time since the request arrived, in ms */
    ageMs: () => number
  }
}

/** Reports in `Server-Timing` how long each phase of a request took, in milliseconds; the phases add up to `total`. */
export function addTimings(app: FastifyInstance): void {
  app.decorateRequest('phase')
  app.decorateRequest('phases')
  app.decorateRequest('ageMs')
  app.addHook('onRequest', async (request) => {
    const begun = performance.now()
    let last = begun
    const phases: string[] = []
    request.phases = phases
    request.ageMs = () => performance.now() - begun
    request.phase = (name) => {
      const now = performance.now()
      phases.push(`${name};dur=${(now - last).toFixed(2)}`)
      last = now
    }
  })
  app.addHook('onSend', async (request, reply) => {
    if (request.phases.length === 0) return
    request.phase('answer')
    const total = request.phases.reduce((sum, phase) => sum + Number(phase.split('dur=')[1]), 0)
    reply.header('server-timing', [...request.phases, `total;dur=${total.toFixed(2)}`].join(', '))
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
