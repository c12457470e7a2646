/**
 * The program of one data worker: edge and envd, wired to the data plane. It gets its connections and all that it knows
 * from its owner, and ends with it.
 */
import { Socket } from 'node:net'
import { pino } from 'pino'
import type { WorkerSettings } from '../data-plane/messages.ts'
import { createWorkerClient } from '../data-plane/worker-client.ts'
import type { ListenerName } from '../data-plane/workers.ts'
import { createEdge } from '../edge/edge.ts'
import { createPassToApi } from '../edge/pass-to-api.ts'
import { createFindSigned } from '../edge/signed-urls.ts'
import type { TrafficServer } from '../edge/traffic-server.ts'
import { createEnvd } from '../envd/envd.ts'
import { createSandboxTable } from '../envd/sandbox-table.ts'
import { createLoadMeter } from '../lib/load-meter.ts'
import { createDebugListener } from './debug-listener.ts'
import { connectionBounds, openFilesMax } from './descriptors.ts'
import { createListener } from './listener.ts'

/** The descriptor that the owner gave this process for the data plane. */
const dataPlaneFd = 4

// A terminal's Ctrl-C reaches every process of it; when to end is the owner's decision.
process.on('SIGINT', () => {})
process.on('SIGTERM', () => {})
process.on('disconnect', () => process.exit())

let servers: Record<ListenerName, TrafficServer> | undefined
let settings: WorkerSettings | undefined
const log = pino({ level: 'info' })
const meter = createLoadMeter()
const counts = { api: 0, envd: 0, port: 0, refused: 0, upgrade: 0 }
const envd = createEnvd({ log })
const table = createSandboxTable({ envd, writeLog: (id, entry) => client.writeLog(id, entry) })
const client = createWorkerClient(new Socket({ fd: dataPlaneFd, readable: true, writable: true }), {
  load: () => ({ ...meter.read(), requests: counts }),
  onSettings(given) {
    settings = given
    log.level = given.logLevel
  },
  onAdmit: (entry, fresh) => table.admit(entry, { fresh }),
  onWithdraw: (id) => table.withdraw(id),
  onRecord: (id, pids) => table.record(id, pids),
  onCredentials: (credentials) => servers?.public.setCredentials(credentials),
  onSynced() {
    if (settings === undefined || servers !== undefined) return
    servers = createServers(settings)
    client.ready()
  },
  onEnd: () => process.exit(),
})

process.on('message', (message: { listener?: ListenerName; stop?: true }, connection?: Socket) => {
  if (message.stop) return stop()
  if (connection === undefined || message.listener === undefined) return
  if (servers === undefined) return void connection.destroy()
  // What a listening socket of Node's HTTP servers gives its connections.
  connection.allowHalfOpen = true
  servers[message.listener].emit('connection', connection)
})

function createServers({ domain, credentials, maxConnections, apiSocket }: WorkerSettings) {
  const bounds = connectionBounds(openFilesMax())
  const edge = createEdge({
    directory: table,
    log,
    async wake(id, request, signal) {
      return (await client.wake(id, request, signal)) ? table.find(id) : undefined
    },
    limits: { maxConnections, maxAllConnections: bounds.exchanges, maxKept: bounds.kept },
    counts,
  })
  const passToApi = createPassToApi({ socket: apiSocket, maxRequests: bounds.api, log })
  const made = {
    public: createListener({
      api(req, res) {
        counts.api++
        passToApi(req, res)
      },
      edge,
      findSigned: createFindSigned(table),
      domain: domain ?? undefined,
      credentials: credentials ?? undefined,
      maxClients: bounds.clients,
      log,
    }),
    debug: createDebugListener({ edge, ensure: client.ensureDebug, log }),
  }
  // Node watches the times of connections once a server listens; these are given theirs.
  for (const server of Object.values(made)) server.emit('listening')
  return made
}

/** Cuts everything. What processes have said by now is on its way to the owner when this process ends. */
function stop(): void {
  for (const server of Object.values(servers ?? {})) {
    server.close()
    server.closeAllConnections()
  }
  for (const { id } of [...table.all()]) void table.withdraw(id)
  client.finish()
}
