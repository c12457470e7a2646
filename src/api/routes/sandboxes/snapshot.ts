import type { FastifyInstance } from 'fastify'
import { snapshotSandbox } from '../../../control/snapshot-sandbox.ts'
import { schemaRef } from '../../../wire/openapi.ts'
import type { SnapshotSandboxBody } from '../../../wire/sandbox.ts'
import type { ApiParts } from '../../parts.ts'
import { requestSignal } from '../../plugins/timings.ts'
import { presentSnapshot } from '../../present/snapshot.ts'
import { type SandboxParams, sandboxRef } from './ref.ts'

/** How long a request may wait for its turn, in ms. */
const waitTimeoutMs = 60_000

/** POST /sandboxes/{sandboxID}/snapshots */
export function addSnapshotSandbox(app: FastifyInstance, { control }: ApiParts): void {
  app.post<SandboxParams & { Body: SnapshotSandboxBody | null | undefined }>(
    '/sandboxes/:sandboxID/snapshots',
    { schema: { body: schemaRef('SnapshotSandbox') } },
    async (request, reply) => {
      const { name, memory } = request.body ?? {}
      const signal = requestSignal(reply, waitTimeoutMs)
      const snapshot = await snapshotSandbox(
        control,
        sandboxRef(request),
        { name: name ?? undefined, memory: memory ?? undefined },
        { signal, phase: request.phase },
      )
      return reply.status(201).send(presentSnapshot(snapshot))
    },
  )
}
