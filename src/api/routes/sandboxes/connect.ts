import type { FastifyInstance } from 'fastify'
import { connectSandbox } from '../../../control/connect-sandbox.ts'
import { schemaRef } from '../../../wire/openapi.ts'
import type { ConnectSandboxBody } from '../../../wire/sandbox.ts'
import type { ApiParts } from '../../parts.ts'
import { presentSandbox } from '../../present/sandbox.ts'
import { type SandboxParams, sandboxRef } from './ref.ts'

/** Lifetime where the second generation's body doesn't say one, in seconds (e2b-behaviour 1.4). */
const defaultTimeoutS = 300

/** POST …/connect of both generations. `memory` matters to paused sandboxes only, and there are none. */
export function addConnectSandbox(app: FastifyInstance, { control, domain }: ApiParts): void {
  const add = (url: string, schema: 'ConnectSandbox' | 'ConnectSandboxV2') =>
    app.post<SandboxParams & { Body: ConnectSandboxBody | null | undefined }>(
      url,
      { schema: { body: schemaRef(schema) } },
      async (request) => {
        const timeoutS = request.body?.timeout ?? defaultTimeoutS
        const sandbox = await connectSandbox(control, sandboxRef(request), timeoutS)
        return presentSandbox(sandbox, domain())
      },
    )
  add('/sandboxes/:sandboxID/connect', 'ConnectSandbox')
  add('/v2/sandboxes/:sandboxID/connect', 'ConnectSandboxV2')
}
