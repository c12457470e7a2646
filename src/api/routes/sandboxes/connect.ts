import type { FastifyInstance } from 'fastify'
import { connectSandbox, resumeSandbox } from '../../../control/connect-sandbox.ts'
import { ServerError } from '../../../domain/error.ts'
import { schemaRef } from '../../../wire/openapi.ts'
import type { ConnectSandboxBody, ResumeSandboxBody } from '../../../wire/sandbox.ts'
import type { ApiParts } from '../../parts.ts'
import { requestSignal } from '../../plugins/timings.ts'
import { presentSandbox } from '../../present/sandbox.ts'
import { type SandboxParams, sandboxRef } from './ref.ts'

/** Lifetime where the second generation's body doesn't say one, in seconds (e2b-behaviour 1.4). */
const defaultTimeoutS = 300
/** How long a request may wait for its turn, in ms. */
const waitTimeoutMs = 60_000

/** POST …/connect of both generations: 200 for a sandbox that runs, 201 for one that it resumed (e2b-wire 2.1). */
export function addConnectSandbox(app: FastifyInstance, { control, domain }: ApiParts): void {
  const add = (url: string, schema: 'ConnectSandbox' | 'ConnectSandboxV2') =>
    app.post<SandboxParams & { Body: ConnectSandboxBody | null | undefined }>(
      url,
      { schema: { body: schemaRef(schema) } },
      async (request, reply) => {
        const { timeout, memory } = request.body ?? {}
        const { sandbox, resumed } = await connectSandbox(
          control,
          sandboxRef(request),
          { timeoutS: timeout ?? defaultTimeoutS, memory: memory !== false },
          { signal: requestSignal(reply, waitTimeoutMs), phase: request.phase },
        )
        return reply.status(resumed ? 201 : 200).send(presentSandbox(sandbox, domain()))
      },
    )
  add('/sandboxes/:sandboxID/connect', 'ConnectSandbox')
  add('/v2/sandboxes/:sandboxID/connect', 'ConnectSandboxV2')
}

/** POST …/resume, which older clients use: only for paused sandboxes. */
export function addResumeSandbox(app: FastifyInstance, { control, domain }: ApiParts): void {
  app.post<SandboxParams & { Body: ResumeSandboxBody }>(
    '/sandboxes/:sandboxID/resume',
    { schema: { body: schemaRef('ResumeSandbox') } },
    async (request, reply) => {
      const { timeout, autoPause, memory } = request.body
      if (timeout <= 0) throw new ServerError('invalid_argument', 'Timeout must be greater than 0')
      const sandbox = await resumeSandbox(
        control,
        sandboxRef(request),
        { timeoutS: timeout, autoPause: autoPause ?? undefined, memory: memory !== false },
        { signal: requestSignal(reply, waitTimeoutMs), phase: request.phase },
      )
      return reply.status(201).send(presentSandbox(sandbox, domain()))
    },
  )
}
