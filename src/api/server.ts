/**
 * The REST API of the control plane. Routes do parse → use case → present; what they have in common (validation
 * against spec/openapi.yml, authentication, error bodies) is in `plugins/`.
 */
import fastify, { type FastifyInstance } from 'fastify'
import type { ApiParts } from './parts.ts'
import { addAuthentication } from './plugins/authentication.ts'
import { addErrors } from './plugins/errors.ts'
import { addJsonBodies } from './plugins/json-bodies.ts'
import { addTimings } from './plugins/timings.ts'
import { addValidation } from './plugins/validation.ts'
import { addHealth } from './routes/health.ts'
import { addConnectSandbox } from './routes/sandboxes/connect.ts'
import { addCreateSandbox } from './routes/sandboxes/create.ts'
import { addGetSandbox } from './routes/sandboxes/get.ts'
import { addKillSandbox } from './routes/sandboxes/kill.ts'
import { addListSandboxes } from './routes/sandboxes/list.ts'
import { addSetSandboxTimeout } from './routes/sandboxes/set-timeout.ts'
import { addUnimplemented } from './routes/unimplemented.ts'

/** Longest JSON body, in bytes. */
const bodyMaxBytes = 1024 * 1024

/** Built, not listening. */
export function createApi(parts: ApiParts): FastifyInstance {
  const { control, serverFactory } = parts
  const app = fastify({
    bodyLimit: bodyMaxBytes,
    routerOptions: { maxParamLength: 512 },
    ...(serverFactory !== undefined && { serverFactory }),
  })
  addErrors(app, control.log)
  addValidation(app)
  addJsonBodies(app)
  addTimings(app)
  addHealth(app)
  app.register(async (scope) => {
    addAuthentication(scope, control.store.apiKeys)
    addCreateSandbox(scope, parts)
    addListSandboxes(scope, parts)
    addGetSandbox(scope, parts)
    addKillSandbox(scope, parts)
    addSetSandboxTimeout(scope, parts)
    addConnectSandbox(scope, parts)
    addUnimplemented(scope)
  })
  return app
}
