/** The composition root of `e2b-server start`: everything is wired here, by hand. */

import { once } from 'node:events'
import { createServer as createApiServer } from 'node:http'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { availableParallelism } from 'node:os'
import { createApi } from '../api/server.ts'
import { createAuthenticator } from '../auth/authenticate.ts'
import { recordKeyUsage } from '../auth/key-usage.ts'
import { createAdmission } from '../control/admission.ts'
import type { ControlContext } from '../control/context.ts'
import { createDebugSandbox } from '../control/debug-sandbox.ts'
import { runWebhooks } from '../control/deliver-webhooks.ts'
import { createEndings } from '../control/endings.ts'
import { runExpiry } from '../control/expiry.ts'
import { createLifecycle } from '../control/lifecycle.ts'
import { createLocalNode } from '../control/local-node.ts'
import { createLogWriter } from '../control/log-writer.ts'
import { createOrphans } from '../control/orphans.ts'
import { reconcileNow, runReconcile, runtimeListener } from '../control/reconcile.ts'
import { runSandboxSampling } from '../control/sample-sandboxes.ts'
import { runTeamSampling } from '../control/sample-teams.ts'
import { createStockTemplates } from '../control/stock/stock-templates.ts'
import { createWakeSandbox } from '../control/wake-sandbox.ts'
import { createFeed } from '../data-plane/feed.ts'
import { createWorkers, type ListenerName, type Workers } from '../data-plane/workers.ts'
import type { Authority } from '../domain/credentials.ts'
import type { Runtime } from '../domain/runtime.ts'
import type { Store } from '../domain/store.ts'
import { defaultLinger, responseClass } from '../edge/unread-body.ts'
import { systemClock } from '../lib/clock.ts'
import { createKeyedQueue } from '../lib/keyed-queue.ts'
import { countStarts } from '../orchestrator/count-starts.ts'
import { createMachine } from '../orchestrator/machine.ts'
import { createManager } from '../orchestrator/manager.ts'
import { createWarmGuests } from '../orchestrator/warm-guests.ts'
import { openSqliteStore } from '../store/dialects/sqlite.ts'
import { openTraces } from '../telemetry/traces.ts'
import { openArchives } from '../templates/archives.ts'
import { createBuilder } from '../templates/builder.ts'
import { createSender } from '../webhooks/send-delivery.ts'
import { presentLifecycleDelivery } from '../wire/lifecycle-event.ts'
import { ensureAdminToken } from './admin-token.ts'
import { ensureApiKey, keySource } from './api-keys.ts'
import { type Config, ConfigError } from './config.ts'
import { destroyAll, finishEnds } from './destroy-all.ts'
import { dataWorkerProgram, programVersion } from './installation.ts'
import { createServerLog } from './log/server-log.ts'
import { openMetrics, runLoadMeter, tellBoth } from './metrics.ts'
import { apiUrl, openCredentials, openDns, publicDomain } from './names.ts'
import { openProvision } from './open-provision.ts'
import { listenPrivately } from './private-socket.ts'
import { countSandboxes, type SandboxCounts } from './running-server.ts'
import { chooseRuntime, requireUsable } from './runtimes.ts'
import { claimStateDir, databasePath, prepareStateDir, templateFilesPath } from './state-dir.ts'
import { baseOf, isTagged, putBaseTemplate, readStockRecipes, warmKinds } from './templates.ts'

export interface RunningServer {
  /** Base URL of the API */
  url: string
  /** What clients have to trust; null: nothing that they don't already */
  authority: Authority | null
  /** Stops serving; sandboxes live on unless `destroyOnExit`. Returns how many do. */
  stop(): Promise<SandboxCounts>
}

/** What a test may put between the server and two of its parts. */
export interface Decorators {
  store?: (store: Store) => Store
  runtime?: (runtime: Runtime) => Runtime
  /** How long what nobody refers to is left, in ms */
  orphanGraceMs?: number
}

/**
 * How long a connection to the API is kept without a request, in ms: until the data worker closes it. One that is closed
 * from here may have a request on its way that can't be sent twice, also where this process stood still for long.
 */
const apiIdleMs = 0
const mib = 2 ** 20
/** Guests that wait for their sandbox, for each CPU that would have to start them again. */
const warmGuestsPerCpu = 4

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
  const { log, logLine } = await createServerLog(config)
  log.info({ version: programVersion() }, 'starting')
  const store = decorateStore(await openSqliteStore({ path: databasePath(config.stateDir) }))
  undo.push(() => store.close())
  const state = { instanceId: store.instanceId, runtimes: await store.runtimes() }
  const { runtime: chosen, why } = await chooseRuntime(config, state, log)
  const runtime = decorateRuntime(chosen)
  undo.push(() => runtime.close())
  const { dataDir, sharedDisk } = await requireUsable({ runtime, why }, config)
  log.info({ runtime: runtime.name, ...(why !== undefined && { why }) }, 'the runtime is usable')
  if (sharedDisk !== undefined) log.info({ why: sharedDisk }, 'disks of sandboxes are not limited')
  const teamId = await ensureApiKey(store, config)
  const adminToken = ensureAdminToken(config)
  const provision = await openProvision(config, runtime)
  await putBaseTemplate({ store, runtime, provision })
  const { recipes, openFile } = await readStockRecipes(config, { runtime, provision })
  const credentials = await openCredentials(config, log)

  const clock = systemClock()
  const defaultUser = runtime.capabilities.isolation ? 'user' : 'root'
  const logs = createLogWriter({ store, clock, log })
  const feed = createFeed({
    wake: (...asked) => wake(...asked),
    ensureDebug: config.debugPort === 0 ? undefined : (signal) => ensureDebug(signal),
    logs,
    log,
  })
  const ownNames = new Set(['base', ...recipes.map(({ name }) => name)])
  const warm = createWarmGuests({
    runtime,
    store: store.warmGuests,
    defaultUser,
    labelOf: (templateId) => (ownNames.has(templateId) ? templateId : 'other'),
    admit: () => admission.enterAhead(),
    isTagged: (kind) => isTagged(store, kind),
    maxGuests: warmGuestsPerCpu * availableParallelism(),
    maxMemoryMb: runtime.capabilities.isolation ? config.warmMemoryMb : 0,
    log,
  })
  const { node, counts } = countStarts(
    createManager({
      runtime,
      warm,
      carrier: feed,
      log,
      defaultUser,
    }),
  )
  const machine = createMachine([config.stateDir, ...(dataDir ? [dataDir] : [])])
  const localNode = await createLocalNode({ store, machine, starts: counts, version: programVersion(), log })
  const lifecycle = createLifecycle({ store, node, clock, log })
  const archives = await openArchives({
    folder: templateFilesPath(config.stateDir),
    files: store.templateFiles,
    maxBytes: config.maxUploadMb * mib,
    teamMaxBytes: config.maxTeamUploadsMb * mib,
    keepFreeBytes: config.keepFree.diskMb * mib,
    clock,
    log,
  })
  const admission = createAdmission({
    store,
    machine,
    status: localNode.status,
    clock,
    limits: config.limits,
    maxStarting: config.maxStarting,
    startWaitMs: config.startWaitS * 1000,
    keepFree: config.keepFree,
  })
  const builder = createBuilder({
    runtime: { ...runtime, images: node.images },
    store,
    // Those of stock templates, which are no team's, are read where their recipes are.
    openFile: (ownerId, hash) => (ownerId === '' ? openFile(hash) : archives.open(ownerId, hash)),
    removeFile: archives.remove,
    admit: admission.enterBuild,
    quotaBytes: config.templateCacheMb * mib,
    // As every image has it once it is made fit (e2b-wire 4.3).
    defaults: { user: defaultUser, workdir: runtime.capabilities.isolation ? '/home/user' : null },
    provision: provision.ofImages,
    commandEnv: config.buildEnv,
    maxRunning: config.maxBuilds,
    readyMs: config.readyWaitS * 1000,
    clock,
    log,
  })
  undo.push(() => builder.close())
  const stock = createStockTemplates({
    ...{ store, builder, images: runtime.images, runtime: runtime.name, recipes, clock, log },
    base: baseOf(runtime),
    buildsOnDemand: config.buildStock,
  })
  let workers: Workers | undefined
  const version = programVersion()
  const metrics = openMetrics({
    ...{ version, runtime: runtime.name, store, admission, lifecycle, builder, warm },
    endings: { backlog: () => endings.backlog() },
  })
  const { otlpEndpoint: endpoint } = config
  const traces =
    endpoint === undefined
      ? undefined
      : await openTraces({ endpoint, version, instanceId: store.instanceId, log })
  undo.push(() => traces?.close())
  const telemetry = tellBoth(metrics, traces)
  const endings = createEndings({ lifecycle, telemetry, log })
  const control: ControlContext = {
    store,
    node,
    lifecycle,
    endings,
    admission,
    builder,
    archives,
    stock,
    templateTurns: createKeyedQueue(),
    orphans: createOrphans({ ...(orphanGraceMs !== undefined && { graceMs: orphanGraceMs }) }),
    caughtUp: async () => workers?.caughtUp(),
    telemetry,
    clock,
    log,
  }
  const wake = createWakeSandbox(control, feed.takesTraffic)
  const ensureDebug = createDebugSandbox(control, teamId)

  const stopping = new AbortController()
  undo.push(() => stopping.abort())
  const heard = runtimeListener(control)
  runtime.watch((event) => {
    if (event.type === 'guest-gone') warm.lost(event.sandboxId)
    heard(event)
  }, stopping.signal)
  await reconcileNow(control)
  await stock.open()

  let domain: string | null = null
  const api = createApi({
    control,
    authenticator: createAuthenticator({
      keys: store.apiKeys,
      teams: store.teams,
      adminToken,
      used: recordKeyUsage({ keys: store.apiKeys, clock, log }),
    }),
    localNode,
    metrics,
    domain: () => domain,
    serverFactory: (handler) =>
      createApiServer(
        // How long a body may take is watched where it comes from: that of an upload may take an hour.
        { ServerResponse: responseClass(defaultLinger), keepAliveTimeout: apiIdleMs, requestTimeout: 0 },
        handler,
      ),
  })
  undo.push(() => api.close())
  await api.ready()
  const apiSocket = await listenPrivately(api.server, config.stateDir)
  undo.push(() => apiSocket.close())
  undo.push(() => {
    api.server.close()
    api.server.closeAllConnections()
  })
  let current = credentials?.first ?? null
  const serving = createWorkers({
    count: config.dataWorkers,
    program: dataWorkerProgram(),
    feed,
    settings: () => ({
      domain: config.domain?.name ?? null,
      credentials: current,
      maxConnections: config.maxConnections,
      apiSocket: apiSocket.path,
      logLevel: config.logLevel,
    }),
    measures: metrics,
    log,
    logLine,
  })
  workers = serving
  undo.push(() => serving.stop())
  await serving.start()
  const listener = await listen(serving, 'public', config, 'Choose another with --host and --port.')
  undo.push(() => listener.close())
  const { port, address } = listener.address() as AddressInfo
  const url = apiUrl(config, port)
  domain = publicDomain(config, port)
  const dns = await openDns(config, address, log)
  undo.push(() => dns?.close())
  const listeners = [listener, ...(await startDebugListeners())]
  const ownPorts = listeners.map((each) => (each.address() as AddressInfo).port)
  const send = createSender({ allow: config.webhookAllow, ownPorts: () => ownPorts })

  const renewing = credentials?.watch((renewed) => {
    current = renewed
    feed.setCredentials(renewed)
  }, stopping.signal)
  const loops = [
    runExpiry(control, stopping.signal),
    runReconcile(control, stopping.signal),
    runTeamSampling(control, stopping.signal),
    runSandboxSampling(control, stopping.signal),
    runWebhooks({ ctx: control, send, present: presentLifecycleDelivery }, stopping.signal),
    logs.run(stopping.signal),
    warm.run(await warmKinds(store), stopping.signal),
    runLoadMeter(metrics, stopping.signal),
    renewing,
  ]
  const authority = credentials?.authority ?? null
  log.info({ url }, 'taking requests')
  claim.publish({
    version: programVersion(),
    keySource: keySource(config),
    url,
    reach: {
      host: config.host,
      port,
      debugPort: listeners.length > 1 ? config.debugPort : null,
      domain: config.domain === undefined ? null : domain,
      authority,
      dns: dns?.address ?? null,
    },
  })

  return {
    url,
    authority,
    async stop() {
      log.info({}, 'stopping')
      claim.publishStop(log)
      stopping.abort()
      dns?.close()
      for (const each of listeners) each.close()
      await serving.stop()
      api.server.close()
      api.server.closeAllConnections()
      await builder.close()
      await stock.close()
      await Promise.all(loops)
      await finishEnds(control)
      await logs.flush()
      await traces?.close()
      if (config.destroyOnExit) await destroyAll(control)
      const left = await countSandboxes(control.store)
      log.info({ ...left }, 'stopped')
      await api.close()
      await apiSocket.close()
      await runtime.close()
      await store.close()
      claim.release()
      return left
    },
  }

  async function startDebugListeners(): Promise<Server[]> {
    if (config.debugPort === 0) return []
    const listening: Server[] = []
    // SDKs say "localhost", which is either of the two.
    for (const host of ['127.0.0.1', '::1']) {
      try {
        const at = { host, port: config.debugPort }
        const remedy = 'Choose another with --debug-port, or 0 for no debug mode.'
        listening.push(await listen(serving, 'debug', at, remedy))
      } catch (error) {
        const level = host === '::1' ? 'debug' : 'warn'
        log[level]({ reason: (error as Error).message }, 'E2B_DEBUG=true programs are not served')
      }
    }
    return listening
  }
}

/**
 * Listens, and hands what comes to the data workers unread. Errors: `ConfigError` when the address can't be used, with
 * what to do: `remedy`.
 */
async function listen(
  workers: Pick<Workers, 'take'>,
  name: ListenerName,
  { host, port }: { host: string; port: number },
  remedy: string,
): Promise<Server> {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, (connection) => {
    connection.on('error', () => {})
    workers.take(connection, name)
  })
  server.listen(port, host)
  try {
    await once(server, 'listening')
  } catch (error) {
    throw new ConfigError(`Can't listen on ${host} port ${port} (${(error as Error).message}). ${remedy}`)
  }
  return server
}

const same = <T>(part: T): T => part
