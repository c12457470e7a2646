/** The REST API over the control plane of `control.ts`, asked without a socket. */
import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import { createApi } from '../../src/api/server.ts'
import { createAuthenticator } from '../../src/auth/authenticate.ts'
import { recordKeyUsage } from '../../src/auth/key-usage.ts'
import { createApiKey } from '../../src/control/create-api-key.ts'
import { createLocalNode, type LocalNode } from '../../src/control/local-node.ts'
import type { Telemetry } from '../../src/domain/telemetry.ts'
import { silentLog } from '../../src/lib/log.ts'
import { openMetrics } from '../../src/main/metrics.ts'
import { createMachine } from '../../src/orchestrator/machine.ts'
import type { Metrics } from '../../src/telemetry/metrics.ts'
import { startControl, type TestControl } from './control.ts'

export interface TestApi extends AsyncDisposable {
  control: TestControl['control']
  localNode: LocalNode
  app: FastifyInstance
  adminToken: string
  /** Keys of the teams `team` and `other` */
  keys: { team: string; other: string }
  /** `POST /path`, with the key of `team` unless `headers` say otherwise */
  ask(
    what: string,
    options?: { headers?: Record<string, string>; body?: unknown },
  ): Promise<LightMyRequestResponse>
}

const adminToken = 'admin-token-of-tests'

export async function startApi(options: Parameters<typeof startControl>[0] = {}): Promise<TestApi> {
  let metrics: Metrics | undefined
  const telemetry: Telemetry = {
    operation: (measured) => metrics?.operation(measured),
    request: (answered) => metrics?.request(answered),
  }
  const parts = await startControl({ telemetry, ...options })
  const { control } = parts
  metrics = openMetrics({ version: '1.2.3', runtime: 'process', warm: parts.warm, ...control })
  const { store, clock } = control
  await store.teams.create({ id: 'other', name: 'Other', slug: 'other', createdAt: 1, limits: {} })
  const keyOf = async (teamId: string) => (await createApiKey(control, { teamId, name: `of ${teamId}` })).key
  const keys = { team: await keyOf('team'), other: await keyOf('other') }
  const localNode = await createLocalNode({
    store,
    machine: createMachine([process.cwd()]),
    starts: () => ({ underWay: 0, succeeded: 0, failed: 0 }),
    version: '1.2.3',
    log: silentLog,
  })
  const authenticator = createAuthenticator({
    keys: store.apiKeys,
    teams: store.teams,
    adminToken,
    used: recordKeyUsage({ keys: store.apiKeys, clock, log: silentLog }),
  })
  const app = createApi({ control, authenticator, localNode, metrics, domain: () => null })
  return {
    control,
    localNode,
    app,
    adminToken,
    keys,
    ask(what, { headers = { 'x-api-key': keys.team }, body } = {}) {
      const [method, url] = what.split(' ') as ['GET', string]
      return app.inject({ method, url, headers, ...(body !== undefined && { payload: body as object }) })
    },
    async [Symbol.asyncDispose]() {
      await app.close()
      await parts[Symbol.asyncDispose]()
    },
  }
}
