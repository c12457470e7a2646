import type { FastifyInstance } from 'fastify'
import { type ForkResult, forkSandbox } from '../../../control/fork-sandbox.ts'
import { ServerError } from '../../../domain/error.ts'
import { restErrorBody } from '../../../wire/error-map.ts'
import { schemaRef } from '../../../wire/openapi.ts'
import type { ForkSandboxBody } from '../../../wire/sandbox.ts'
import type { ApiParts } from '../../parts.ts'
import { requestSignal } from '../../plugins/timings.ts'
import { presentSandbox } from '../../present/sandbox.ts'
import { type SandboxParams, sandboxRef } from './ref.ts'

/** Lifetime of forks where the body doesn't say one, in seconds (e2b-wire 2.1). */
const defaultTimeoutS = 15
/** How long all of it may take, in ms: up to a hundred starts. */
const forkTimeoutMs = 300_000

/** POST /sandboxes/{sandboxID}/fork: one result for each fork, a sandbox or an error. */
export function addForkSandbox(app: FastifyInstance, { control, domain }: ApiParts): void {
  const present = (result: ForkResult) => {
    if ('sandbox' in result) return { sandbox: presentSandbox(result.sandbox, domain()) }
    return { error: restErrorBody(result.error) }
  }
  app.post<SandboxParams & { Body: ForkSandboxBody | null | undefined }>(
    '/sandboxes/:sandboxID/fork',
    { schema: { body: schemaRef('ForkSandbox') } },
    async (request, reply) => {
      const { timeout: timeoutS = defaultTimeoutS, count = 1 } = request.body ?? {}
      if (timeoutS <= 0) throw new ServerError('invalid_argument', 'Timeout must be greater than 0')
      const options = { signal: requestSignal(reply, forkTimeoutMs), phase: request.phase }
      const results = await forkSandbox(control, sandboxRef(request), { timeoutS, count }, options)
      return reply.status(201).send(results.map(present))
    },
  )
}
