import type { FastifyInstance, FastifyRequest } from 'fastify'
import { createSandbox } from '../../../control/create-sandbox.ts'
import { ServerError } from '../../../domain/error.ts'
import type { Capabilities } from '../../../domain/runtime.ts'
import { parseNetwork } from '../../../wire/network.ts'
import { schemaRef } from '../../../wire/openapi.ts'
import type { NewSandboxBody } from '../../../wire/sandbox.ts'
import type { ApiParts } from '../../parts.ts'
import { requestSignal } from '../../plugins/timings.ts'
import { presentSandbox } from '../../present/sandbox.ts'
import { requireEgress } from './require-egress.ts'

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
        const settings = settingsOf(body, secured(body), control.node.capabilities)
        const sandbox = await createSandbox(
          control,
          { ...settings, ...idempotencyOf(request), teamId, template: body.templateID },
          { signal: requestSignal(reply, createTimeoutMs), phase },
        )
        return reply.status(201).send(presentSandbox(sandbox, domain()))
      },
    )

  add('/sandboxes', 'NewSandbox', (body) => body.secure === true)
  add('/v2/sandboxes', 'NewSandboxV2', () => true)
}

/** Errors: `invalid_argument`. */
function idempotencyOf({ headers }: FastifyRequest): { idempotencyKey?: string } {
  const key = headers['idempotency-key']
  if (key === undefined) return {}
  if (typeof key === 'string' && /^[a-z0-9-]{1,255}$/.test(key)) return { idempotencyKey: key }
  throw new ServerError(
    'invalid_argument',
    'The header Idempotency-Key must be 1 to 255 lower-case letters, digits and dashes.',
  )
}

/** The rules between fields, which a schema doesn't know (e2b-wire 2.1). */
function settingsOf(body: NewSandboxBody, secure: boolean, capabilities: Capabilities) {
  refuseUnsupported(body)
  const invalid = (message: string) => new ServerError('invalid_argument', message)
  const autoPause = body.autoPause === true
  const autoPauseMemory = body.autoPauseMemory !== false
  const autoResume = body.autoResume?.enabled === true
  if (body.timeout <= 0) throw invalid('Timeout must be greater than 0')
  if (!autoPauseMemory && !autoPause)
    throw invalid('autoPauseMemory: false is only for sandboxes with autoPause: true.')
  if (!autoPauseMemory && autoResume) {
    throw invalid(
      'Traffic only resumes sandboxes that are paused with their memory: autoResume needs autoPauseMemory: true.',
    )
  }
  const network = body.network == null ? null : parseNetwork(body.network)
  if (network?.allowPublicTraffic === false && !secure) {
    throw invalid(
      "You cannot create a sandbox without public access unless you enable secure envd access via 'secure' flag.",
    )
  }
  const allowInternetAccess = body.allow_internet_access ?? null
  requireEgress(capabilities, network, allowInternetAccess)
  return {
    timeoutS: body.timeout,
    secure,
    metadata: body.metadata ?? {},
    envVars: body.envVars ?? {},
    allowInternetAccess,
    network,
    onTimeout: autoPause ? 'pause' : 'kill',
    autoPauseMemory,
    autoResume,
  } as const
}

/**
 * What this server can't do yet is refused by name, never ignored. `mcp` asks for nothing: whoever sends it starts the
 * servers that it names by a command of the sandbox.
 */
function refuseUnsupported(body: NewSandboxBody): void {
  const asked: Record<string, boolean> = {
    volumeMounts: (body.volumeMounts?.length ?? 0) > 0,
    iam: body.iam != null,
  }
  const field = Object.keys(asked).find((name) => asked[name])
  if (field === undefined) return
  throw new ServerError(
    'unimplemented',
    `'${field}' is not implemented by this server yet; see docs/compat.md.`,
  )
}
