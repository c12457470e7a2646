import type { FastifyInstance } from 'fastify'
import { createSandbox } from '../../../control/create-sandbox.ts'
import { ServerError } from '../../../domain/error.ts'
import { schemaRef } from '../../../wire/openapi.ts'
import type { NewSandboxBody } from '../../../wire/sandbox.ts'
import type { ApiParts } from '../../parts.ts'
import { requestSignal } from '../../plugins/timings.ts'
import { presentSandbox } from '../../present/sandbox.ts'

/** How long a start may take, in ms, waiting for its turn included. */
const createTimeoutMs = 60_000

/** POST /sandboxes and /v2/sandboxes; the second generation is always secured (e2b-wire 2.1). */
export function addCreateSandbox(app: FastifyInstance, { control, domain }: ApiParts): void {
  const add = (
    url: string,
    schema: 'NewSandbox' | 'NewSandboxV2',
    secured: (body: NewSandboxBody) => boolean,
  ) =>
    app.post<{ Body: NewSandboxBody }>(
      url,
      { schema: { body: schemaRef(schema) } },
      async (request, reply) => {
        const { body, teamId, phase } = request
        phase('validate')
        refuseUnsupported(body)
        if (body.timeout <= 0) throw new ServerError('invalid_argument', 'Timeout must be greater than 0')
        const sandbox = await createSandbox(
          control,
          {
            teamId,
            template: body.templateID,
            timeoutS: body.timeout,
            secure: secured(body),
            metadata: body.metadata ?? {},
            envVars: body.envVars ?? {},
            allowInternetAccess: body.allow_internet_access ?? null,
          },
          { signal: requestSignal(reply, createTimeoutMs), phase },
        )
        return reply.status(201).send(presentSandbox(sandbox, domain()))
      },
    )

  add('/sandboxes', 'NewSandbox', (body) => body.secure === true)
  add('/v2/sandboxes', 'NewSandboxV2', () => true)
}

/** What this server can't do yet is refused by name, never ignored. */
function refuseUnsupported(body: NewSandboxBody): void {
  const { network } = body
  const asked: Record<string, boolean> = {
    autoPause: body.autoPause === true,
    'autoResume.enabled': body.autoResume?.enabled === true,
    'allow_internet_access: false': body.allow_internet_access === false,
    volumeMounts: (body.volumeMounts?.length ?? 0) > 0,
    mcp: body.mcp != null,
    iam: body.iam != null,
    'network.allowPublicTraffic: false': network?.allowPublicTraffic === false,
    'network.allowOut': (network?.allowOut?.length ?? 0) > 0,
    'network.denyOut': (network?.denyOut?.length ?? 0) > 0,
    'network.maskRequestHost': network?.maskRequestHost != null,
    'network.egressProxy': network?.egressProxy != null,
    'network.rules': Object.keys(network?.rules ?? {}).length > 0,
    'network.httpsPorts': (network?.httpsPorts?.length ?? 0) > 0,
  }
  const field = Object.keys(asked).find((name) => asked[name])
  if (field === undefined) return
  throw new ServerError(
    'unimplemented',
    `'${field}' is not implemented by this server yet; see docs/compat.md.`,
  )
}
