/** The program `e2b-server`. */
import './small-heap.ts'
import { existsSync } from 'node:fs'
import type { Actions, Flags, LogLines, LogRequest } from '../cli/actions.ts'
import { createProgram, runProgram } from '../cli/program.ts'
import { createApiKey } from '../control/create-api-key.ts'
import { ServerError } from '../domain/error.ts'
import type { Store } from '../domain/store.ts'
import { systemClock } from '../lib/clock.ts'
import { openSqliteStore } from '../store/dialects/sqlite.ts'
import { deleteApiKey, keySource, serverApiKey } from './api-keys.ts'
import { benchUntilSignal } from './bench/request.ts'
import { clientEnv, howToTrust, reachOf } from './client-env.ts'
import { ConfigError, readConfig } from './config.ts'
import { diagnose } from './doctor/diagnose.ts'
import { domainStatus, turnOff, turnOn } from './domain/domain.ts'
import { farewell } from './farewell.ts'
import { programVersion } from './installation.ts'
import { readLogs } from './log/logs.ts'
import { apiUrl } from './names.ts'
import { runAs, userOf } from './run-as-user.ts'
import { serverStatus, stopServer } from './running-server.ts'
import { letHeapGrow } from './small-heap.ts'
import { startServer } from './start.ts'
import { databasePath, prepareStateDir, readServerInfo } from './state-dir.ts'
import { changeLimits, createTeam, ensureTeam, listTeams, requireTeam } from './teams.ts'
import { type ApiSocket, openApi } from './templates-cli/api-socket.ts'
import { listStock } from './templates-cli/stock-cli.ts'
import { buildTemplate, deleteTemplate, listTemplates, templateLog } from './templates-cli/templates-cli.ts'

const actions: Actions = {
  start: runUntilSignal,

  async env(flags) {
    const config = readConfig(flags)
    const info = readServerInfo(config.stateDir)
    return clientEnv(
      serverApiKey(config, info),
      info?.url ?? apiUrl(config, config.port),
      info?.reach ?? reachOf(config),
    )
  },

  doctor: (flags) => diagnose(readConfig(flags)),
  bench: benchUntilSignal,
  status: (flags) => serverStatus(readConfig(flags).stateDir),

  async stop(flags) {
    const { stateDir } = readConfig(flags)
    const stopped = await stopServer(stateDir)
    return stopped === undefined ? `No server runs with ${stateDir}.` : farewell(stopped)
  },

  logs: showLogs,

  domain: {
    on: (flags) => turnOn(readConfig(flags).stateDir, { isDry: flags.dryRun === true }),
    off: (flags) => turnOff(readConfig(flags).stateDir, { isDry: flags.dryRun === true }),
    status: (flags) => domainStatus(readConfig(flags).stateDir),
  },

  teams: {
    list: (flags) => withStore(flags, listTeams),
    create: (flags, slug) =>
      withStore(flags, (store) => createTeam(store, slug, flags.name ? String(flags.name) : undefined)),
    limits: (flags, team) => withStore(flags, (store) => changeLimits(store, team, flags)),
  },

  templates: {
    list: (flags) =>
      withTeamApi(flags, async (api) => ({ own: await listTemplates(api), stock: await listStock(api) })),
    build: buildFrom,
    log: (flags, template) => throughApi(flags, (api) => templateLog(api, template)),
    delete: (flags, template) => withTeamApi(flags, (api) => deleteTemplate(api, template)),
    gc: (flags) =>
      withTeamApi(flags, (api) => api.ask('POST /admin/templates/gc', { all: flags.all === true })),
  },

  keys: {
    list: (flags) =>
      withStore(flags, async (store, teamId) => {
        const keys = await store.apiKeys.list(teamId)
        return keys.map(({ id, name, mask, createdAt, lastUsedAt }) => ({
          id,
          name,
          mask,
          createdAt: new Date(createdAt),
          lastUsedAt: lastUsedAt === null ? null : new Date(lastUsedAt),
        }))
      }),
    create: (flags, name) =>
      withStore(flags, async (store, teamId) => {
        const { key } = await createApiKey({ store, clock: systemClock() }, { teamId, name })
        return key
      }),
    delete: (flags, id) => withStore(flags, (store) => deleteApiKey(store, readConfig(flags), id)),
  },
}

/** `teamId` is the team that flags name, else the one that a server starts with. */
async function withStore<T>(flags: Flags, use: (store: Store, teamId: string) => Promise<T>): Promise<T> {
  const config = readConfig(flags)
  prepareStateDir(config.stateDir)
  const store = await openSqliteStore({ path: databasePath(config.stateDir) })
  try {
    const first = await ensureTeam(store)
    const teamId = flags.team ? (await requireTeam(store, String(flags.team))).id : first
    return await use(store, teamId)
  } finally {
    await store.close()
  }
}

/** The API of the server that runs, as the team that flags name. */
async function withTeamApi<T>(flags: Flags, use: (api: ApiSocket) => Promise<T>): Promise<T> {
  const teamId = await withStore(flags, async (_store, id) => id)
  const api = await openApi(readConfig(flags), teamId)
  try {
    return await use(api)
  } finally {
    await api.close()
  }
}

async function* buildFrom(flags: Flags, path: string): AsyncGenerator<string> {
  const text = (name: string) => (flags[name] === undefined ? undefined : String(flags[name]))
  const count = (name: string) => (flags[name] === undefined ? undefined : Number(flags[name]))
  const request = {
    path,
    name: text('name'),
    cpuCount: count('cpuCount'),
    memoryMb: count('memoryMb'),
    readyCmd: text('readyCmd'),
    isFresh: flags.cache === false,
  }
  yield* throughApi(flags, (api) => buildTemplate(api, request))
}

/** As `withTeamApi`, for what comes in lines. */
async function* throughApi(
  flags: Flags,
  use: (api: ApiSocket) => AsyncGenerator<string>,
): AsyncGenerator<string> {
  const teamId = await withStore(flags, async (_store, id) => id)
  const api = await openApi(readConfig(flags), teamId)
  try {
    yield* use(api)
  } finally {
    await api.close()
  }
}

/** Until Ctrl-C, or until nobody reads any more. */
async function* showLogs(flags: Flags, request: LogRequest & { isFollowed: boolean }): LogLines {
  const { stateDir } = readConfig(flags)
  const over = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM']) process.once(name, () => over.abort())
  process.stdout.once('error', () => over.abort())
  const store = existsSync(databasePath(stateDir))
    ? await openSqliteStore({ path: databasePath(stateDir) })
    : undefined
  const colors = process.stdout.isTTY === true && process.stdout.hasColors()
  try {
    yield* readLogs(
      { stateDir, store },
      { ...request, colors, ...(request.isFollowed && { follow: over.signal }) },
    )
  } finally {
    await store?.close()
  }
}

/** Serves until SIGINT or SIGTERM; a second signal ends the process at once. */
async function runUntilSignal(flags: Flags): Promise<void> {
  const config = readConfig(flags)
  const user = userOf(config)
  if (user !== undefined) process.exit(await runAs(user, config))
  const server = await startServer(config)
  letHeapGrow()
  // Before anybody is told that there is a server: whoever reads that may signal at once.
  const signalled = new Promise<void>((resolve) => {
    process.once('SIGINT', resolve)
    process.once('SIGTERM', resolve)
    // Of the one that has started it as another user.
    process.once('disconnect', resolve)
  })
  console.log(`e2b-server answers on ${server.url}`)
  const where = config.stateDir === readConfig({}, {}).stateDir ? '' : ` --state-dir ${config.stateDir}`
  if (server.authority !== null && domainStatus(config.stateDir) === null) {
    console.log(howToTrust(server.authority, where))
  }
  console.log(`Point your programs at it:  eval "$(npx e2b-server env${where})"`)
  const source = keySource(config)
  if (source !== null && 'variable' in source) console.log(`(where ${source.variable} is set as it is here)`)
  await signalled
  process.once('SIGINT', () => process.exit(1))
  process.once('SIGTERM', () => process.exit(1))
  console.log(farewell(await server.stop()))
  // Not left to happen: Node.js has been seen to spin forever on the way out, waiting for a handle of its own to close.
  process.exit()
}

try {
  await runProgram(createProgram(actions, programVersion()), process.argv.slice(2))
} catch (error) {
  const isExpected = error instanceof ConfigError || error instanceof ServerError || isForbidden(error)
  if (!isExpected) throw error
  console.error(`e2b-server: ${error.message}`)
  process.exitCode = 1
}

/** A file that this user may not use: Node's words name it. */
function isForbidden(error: unknown): error is Error {
  return error instanceof Error && ['EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')
}
