/** The composition root of `e2b-server start`: everything is wired here, by hand. */
import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pino } from 'pino'
import { createApi } from '../api/server.ts'
import { createAuthenticator } from '../auth/authenticate.ts'
import { recordKeyUsage } from '../auth/key-usage.ts'
import { createAdmission } from '../control/admission.ts'
import type { ControlContext } from '../control/context.ts'
import { createDebugSandbox } from '../control/debug-sandbox.ts'
import { runWebhooks } from '../control/deliver-webhooks.ts'
import { runExpiry } from '../control/expiry.ts'
import { killSandbox } from '../control/kill-sandbox.ts'
import { createLifecycle } from '../control/lifecycle.ts'
import { createLocalNode } from '../control/local-node.ts'
import { createLogWriter } from '../control/log-writer.ts'
import { createOrphans } from '../control/orphans.ts'
import { reconcileNow, runReconcile, runtimeListener } from '../control/reconcile.ts'
import { runSandboxSampling } from '../control/sample-sandboxes.ts'
import { runTeamSampling } from '../control/sample-teams.ts'
import { createWakeSandbox } from '../control/wake-sandbox.ts'
import type { Authority } from '../domain/credentials.ts'
import type { Runtime } from '../domain/runtime.ts'
import type { Store } from '../domain/store.ts'
import { createEdge } from '../edge/edge.ts'
import { createFindSigned } from '../edge/signed-urls.ts'
import type { TrafficServer } from '../edge/traffic-server.ts'
import { createEnvd } from '../envd/envd.ts'
import { systemClock } from '../lib/clock.ts'
import { sleep } from '../lib/deadline.ts'
import { forEachLimit } from '../lib/for-each-limit.ts'
import { countStarts } from '../orchestrator/count-starts.ts'
import { createMachine } from '../orchestrator/machine.ts'
import { createManager } from '../orchestrator/manager.ts'
import { openSqliteStore } from '../store/dialects/sqlite.ts'
import { sendDelivery } from '../webhooks/send-delivery.ts'
import { presentLifecycleDelivery } from '../wire/lifecycle-event.ts'
import { ensureAdminToken } from './admin-token.ts'
import { ensureApiKey } from './api-keys.ts'
import { type Config, ConfigError } from './config.ts'
import { createDebugListener } from './debug-listener.ts'
import { programVersion } from './installation.ts'
import { createListener } from './listener.ts'
import { apiUrl, openCredentials, openDns, publicDomain } from './names.ts'
import { createRuntime, requireUsable } from './runtimes.ts'
import { claimStateDir, databasePath, prepareStateDir } from './state-dir.ts'
import { putBaseTemplate } from './templates.ts'

export interface RunningServer {
  /** Base URL of the API */
  url: string
  /** What clients have to trust; null: nothing that they don't already */
  authority: Authority | null
  /** Stops serving; sandboxes live on unless `destroyOnExit`. Returns how many do. */
  stop(): Promise<SandboxesLeft>
}

export interface SandboxesLeft {
  running: number
  paused: number
}

/** What a test may put between the server and two of its parts. */
export interface Decorators {
  store?: (store: Store) => Store
  runtime?: (runtime: Runtime) => Runtime
  /** How long what nobody refers to is left, in ms */
  orphanGraceMs?: number
}

/** Starts the server and resolves when it takes requests; a start that fails leaves nothing. Errors: `ConfigError`. */
export async function startServer(config: Config, decorators: Decorators = {}): Promise<RunningServer> {
  prepareStateDir(config.stateDir)
  const claim = claimStateDir(config.stateDir)
  /** What has been started, last first to be undone */
  const undo: (() => unknown)[] = [() => claim.release()]
  try {
    return await start(config, decorators, claim, undo)
  } catch (error) {
    for (const step of undo.reverse()) await step()
    throw error
  }
}

async function start(
  config: Config,
  { store: decorateStore = same, runtime: decorateRuntime = same, orphanGraceMs }: Decorators,
  claim: ReturnType<typeof claimStateDir>,
  undo: (() => unknown)[],
): Promise<RunningServer> {
  const log = pino({ level: config.logLevel })
  const store = decorateStore(await openSqliteStore({ path: databasePath(config.stateDir) }))
  undo.push(() => store.close())
  const runtime = decorateRuntime(createRuntime(config, store.instanceId, log))
  undo.push(() => runtime.close())
  const { dataDir } = await requireUsable(runtime)
  const teamId = await ensureApiKey(store, config)
  const adminToken = ensureAdminToken(config)
  await putBaseTemplate(store, runtime)
  const credentials = await openCredentials(config, log)

  const clock = systemClock()
  const logs = createLogWriter({ store, clock, log })
  const envd = createEnvd({ log })
  const { node, counts } = countStarts(
    createManager({
      runtime,
      envd,
      log,
      logs,
      defaultUser: runtime.capabilities.isolation ? 'user' : 'root',
    }),
  )
  const machine = createMachine([config.stateDir, ...(dataDir ? [dataDir] : [])])
  const localNode = await createLocalNode({ store, machine, starts: counts, version: programVersion(), log })
  const lifecycle = createLifecycle({ store, node, clock, log })
  const control: ControlContext = {
    store,
    node,
    lifecycle,
    admission: createAdmission({
      store,
      machine,
      status: localNode.status,
      clock,
      limits: config.limits,
      maxStarting: config.maxStarting,
      startWaitMs: config.startWaitS * 1000,
      keepFree: config.keepFree,
    }),
    orphans: createOrphans({ ...(orphanGraceMs !== undefined && { graceMs: orphanGraceMs }) }),
    clock,
    log,
  }
  const edge = createEdge({
    directory: node,
    log,
    wake: createWakeSandbox(control, node),
    maxConnections: config.maxConnections,
  })

  const stopping = new AbortController()
  undo.push(() => stopping.abort())
  runtime.watch(runtimeListener(control), stopping.signal)
  await reconcileNow(control)

  let domain: string | null = null
  let listener: TrafficServer | undefined
  const api = createApi({
    control,
    authenticator: createAuthenticator({
      keys: store.apiKeys,
      teams: store.teams,
      adminToken,
      used: recordKeyUsage({ keys: store.apiKeys, clock, log }),
    }),
    localNode,
    domain: () => domain,
    serverFactory: (handler) => {
      listener = createListener({
        api: handler,
        edge,
        findSigned: createFindSigned(node),
        domain: config.domain?.name,
        credentials: credentials?.first,
      })
      return listener
    },
  })
  undo.push(() => api.close())
  await api.ready()
  const { port, address } = await listen(
    api.server,
    config.port,
    config.host,
    'Choose another with --host and --port.',
  )
  const url = apiUrl(config, port)
  domain = publicDomain(config, port)
  const dns = await openDns(config, address, log)
  undo.push(() => dns?.close())
  const servers = [api.server, ...(await startDebugListeners())]

  const renewing = credentials?.watch((renewed) => listener?.setCredentials(renewed), stopping.signal)
  const loops = [
    runExpiry(control, stopping.signal),
    runReconcile(control, stopping.signal),
    runTeamSampling(control, stopping.signal),
    runSandboxSampling(control, stopping.signal),
    runWebhooks({ ctx: control, send: sendDelivery, present: presentLifecycleDelivery }, stopping.signal),
    logs.run(stopping.signal),
    renewing,
  ]
  const authority = credentials?.authority ?? null
  claim.publish(url, {
    host: config.host,
    port,
    debugPort: servers.length > 1 ? config.debugPort : null,
    domain: config.domain === undefined ? null : domain,
    authority,
    dns: dns?.address ?? null,
  })

  return {
    url,
    authority,
    async stop() {
      stopping.abort()
      dns?.close()
      for (const server of servers) {
        server.close()
        server.closeAllConnections()
      }
      // Whoever follows a process inside lets go of it: an open stream would keep this process from ending.
      for (const { id } of [...node.all()]) node.withdraw(id)
      await Promise.all(loops)
      await lifecycle.idle()
      await logs.flush()
      if (config.destroyOnExit) await destroyAll(control)
      const { sandboxes } = control.store
      const left = {
        running: await sandboxes.count({ states: ['running'] }),
        paused: await sandboxes.count({ states: ['paused'] }),
      }
      await api.close()
      await runtime.close()
      await store.close()
      claim.release()
      return left
    },
  }

  async function startDebugListeners(): Promise<Server[]> {
    if (config.debugPort === 0) return []
    const ensure = createDebugSandbox(control, teamId)
    const listening: Server[] = []
    // SDKs say "localhost", which is either of the two.
    for (const host of ['127.0.0.1', '::1']) {
      const server = createDebugListener({ edge, ensure, log })
      try {
        await listen(
          server,
          config.debugPort,
          host,
          'Choose another with --debug-port, or 0 for no debug mode.',
        )
        listening.push(server)
      } catch (error) {
        const level = host === '::1' ? 'debug' : 'warn'
        log[level]({ reason: (error as Error).message }, 'E2B_DEBUG=true programs are not served')
      }
    }
    return listening
  }
}

/** Listens and returns where. Errors: `ConfigError` when the address can't be used, with what to do: `remedy`. */
async function listen(server: Server, port: number, host: string, remedy: string): Promise<AddressInfo> {
  server.listen(port, host)
  try {
    await once(server, 'listening')
  } catch (error) {
    throw new ConfigError(`Can't listen on ${host} port ${port} (${(error as Error).message}). ${remedy}`)
  }
  return server.address() as AddressInfo
}

const same = <T>(part: T): T => part

/** How long a stop tries to end all sandboxes, and the pause between two tries, in milliseconds. */
const destroyMs = { limit: 30_000, pause: 500 }

/** Ends all sandboxes, also past an engine that doesn't answer for a moment. Errors: of the last try. */
async function destroyAll(control: ControlContext): Promise<void> {
  const signal = AbortSignal.timeout(destroyMs.limit)
  for (;;) {
    const rows = await control.store.sandboxes.list({})
    try {
      await forEachLimit(rows, 8, (row) => killSandbox(control, row, signal, 'shutdown'))
      return
    } catch (error) {
      if (signal.aborted) throw error
      control.log.warn({ err: error }, 'not all sandboxes could be ended yet')
      await sleep(destroyMs.pause, signal).catch(() => {})
    }
  }
}
