/**
 * The one place where the environment is read. A flag wins over its variable, a variable over the default; what
 * comes out is complete and valid.
 */
import { availableParallelism, homedir, totalmem } from 'node:os'
import { resolve } from 'node:path'
import { z } from 'zod'
import type { Flags } from '../cli/actions.ts'
import { buildEnvLines, buildSchema } from './build-config.ts'
import { connectionBounds, openFilesMax } from './descriptors.ts'
import { nameFaults, nameSchema } from './name-config.ts'
import { networkSchema } from './network-config.ts'

const port = (name: string) =>
  z.coerce
    .number({ error: `${name} must be a number` })
    .int(`${name} must be a whole number`)
    .min(0, `${name} must be 0 … 65535`)
    .max(65535, `${name} must be 0 … 65535`)

const oneOf = <T extends string>(name: string, values: readonly [T, ...T[]]) =>
  z.enum(values, { error: `${name} must be one of ${values.join(', ')}` })

export const runtimeFlag = oneOf('--runtime', ['auto', 'native', 'docker', 'gvisor', 'process'])

/** A number above 0, or null for none. */
export const limit = (name: string, kind: 'whole' | 'any' = 'whole') =>
  z.preprocess(
    (value) => (value === undefined || value === 'unlimited' ? null : value),
    (kind === 'whole' ? amount(name).int(`${name} must be a whole number`) : amount(name)).nullable(),
  )

const amount = (name: string) =>
  z.coerce
    .number({ error: `${name} must be a number` })
    .positive(`${name} must be more than 0`)
    .max(1e9, `${name} must be at most 1000000000`)

/** A limit that is given in hours, as seconds. */
export const hourLimit = (name: string) =>
  limit(name, 'any').transform((hours) => hours && Math.ceil(hours * 3600))

/** Where programs are on every system */
const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

const schema = z.object({
  host: z.string().min(1),
  port: port('--port'),
  debugPort: port('--debug-port'),
  stateDir: z.string().min(1),
  runtime: runtimeFlag,
  /** Whom the server is to become, beside a helper that is root's */
  user: z
    .string()
    .regex(/^[a-zA-Z0-9_][\w.-]{0,63}$/, '--user must be the name of a user')
    .optional(),
  /** The directory of a helper that others have started; absent: the server starts its own where it is root */
  hostRoot: z
    .string()
    .transform((path) => resolve(path))
    .optional(),
  /** PATH of programs that the server starts */
  path: z.string(),
  dockerTransport: oneOf('--docker-transport', ['auto', 'unix', 'tcp']),
  logLevel: oneOf('--log-level', ['debug', 'info', 'warn', 'error']),
  /** On standard output; `auto`: readable on a terminal, else JSON */
  logFormat: oneOf('--log-format', ['auto', 'pretty', 'json']),
  /** The key to accept, from the environment: arguments are visible to every user of the machine */
  apiKey: z.string().optional(),
  apiKeyFile: z
    .string()
    .transform((path) => resolve(path))
    .optional(),
  ...nameSchema,
  ...networkSchema,
  ...buildSchema,
  maxConnections: z.coerce
    .number({ error: '--max-connections must be a number' })
    .int('--max-connections must be a whole number')
    .min(1, '--max-connections must be at least 1'),
  /** Processes that take in the traffic of sandboxes */
  dataWorkers: z.coerce
    .number({ error: '--data-workers must be a number' })
    .int('--data-workers must be a whole number')
    .min(1, '--data-workers must be 1 … 256')
    .max(256, '--data-workers must be 1 … 256'),
  /** The operator's token, from the environment for the same reason */
  adminToken: z.string().optional(),
  adminTokenFile: z.string().optional(),
  /** For teams that have none of their own */
  limits: z.object({
    runningSandboxes: limit('--limit-sandboxes'),
    vcpu: limit('--limit-vcpu'),
    memoryMb: limit('--limit-memory-mb'),
    createsPerSecond: limit('--limit-creates-per-second', 'any'),
    lifetimeS: hourLimit('--max-lifetime-hours'),
  }),
  /** How many sandboxes start at once */
  maxStarting: amount('--max-starting').int('--max-starting must be a whole number'),
  /** How long a start may wait for its turn, in seconds */
  startWaitS: z.coerce
    .number({ error: '--start-wait must be a number' })
    .min(0, '--start-wait must be 0 … 600')
    .max(600, '--start-wait must be 0 … 600'),
  /** What starts leave free; see `FreeSpace` */
  keepFree: z.object({
    memoryMb: limit('--min-free-memory-mb'),
    diskMb: amount('--min-free-disk-mb'),
  }),
  /** What guests that wait for their sandbox may take, in MiB; see `WarmGuests` */
  warmMemoryMb: z.coerce
    .number({ error: '--warm-memory-mb must be a number' })
    .int('--warm-memory-mb must be a whole number')
    .min(0, '--warm-memory-mb must be 0 or more')
    .max(1e9, '--warm-memory-mb must be at most 1000000000'),
  /** Whether `diskMb` of a sandbox is enforced; `auto`: where the runtime can */
  limitDisk: z
    .enum(['true', '1', 'false', '0', 'auto'], {
      error: '--limit-disk is a flag, and E2B_SERVER_LIMIT_DISK true, false or auto',
    })
    .transform((text) => (text === 'auto' ? text : text === 'true' || text === '1')),
  /** Builds of templates that run at once */
  maxBuilds: amount('--max-builds').int('--max-builds must be a whole number'),
  /** How long a build may wait for its ready command to succeed, in seconds */
  readyWaitS: z.coerce
    .number({ error: '--ready-wait must be a number' })
    .min(1, '--ready-wait must be 1 … 3600')
    .max(3600, '--ready-wait must be 1 … 3600'),
  /** What the cache of builds may take, in MiB */
  templateCacheMb: amount('--template-cache-mb').int('--template-cache-mb must be a whole number'),
  /** Archives of COPY steps, in MiB: of one, and of one team's together */
  maxUploadMb: amount('--max-upload-mb').int('--max-upload-mb must be a whole number'),
  maxTeamUploadsMb: amount('--max-team-uploads-mb').int('--max-team-uploads-mb must be a whole number'),
  /** Whether a stock template that isn't built is when somebody asks for it */
  buildStock: z.preprocess(
    (value) =>
      ['true', '1'].includes(`${value}`) ? true : ['false', '0'].includes(`${value}`) ? false : value,
    z.boolean({ error: 'E2B_SERVER_BUILD_STOCK must be true or false' }),
  ),
  /** A folder with more recipes of stock templates */
  stockDir: z
    .string()
    .transform((path) => resolve(path))
    .optional(),
  /** Base address of a collector of OpenTelemetry's traces */
  otlpEndpoint: z
    .url({ protocol: /^https?$/, error: '--otlp-endpoint must be an address, as http://localhost:4318' })
    .optional(),
  destroyOnExit: z.boolean(),
  /** `unix:///path` or undefined for the default socket */
  dockerHost: z.string().optional(),
})

export type Config = z.infer<typeof schema>

export class ConfigError extends Error {}

/** Errors: `ConfigError` with a sentence for the user. */
export function readConfig(flags: Flags, env: NodeJS.ProcessEnv = process.env): Config {
  const pick = (flag: string, variable: string, fallback?: string) => flags[flag] || env[variable] || fallback
  const given = {
    tlsCert: pick('tlsCert', 'E2B_SERVER_TLS_CERT'),
    tlsKey: pick('tlsKey', 'E2B_SERVER_TLS_KEY'),
  }
  const tls = String(pick('tls', 'E2B_SERVER_TLS', given.tlsCert || given.tlsKey ? 'true' : ''))
  const ownBounds = connectionBounds(openFilesMax())
  const defaultPort = tls === 'true' || tls === '1' ? '443' : '3000'
  const parsed = schema.safeParse({
    host: pick('host', 'E2B_SERVER_HOST', '127.0.0.1'),
    port: pick('port', 'E2B_SERVER_PORT', defaultPort),
    debugPort: pick('debugPort', 'E2B_SERVER_DEBUG_PORT', '49983'),
    stateDir: resolve(String(pick('stateDir', 'E2B_SERVER_STATE_DIR', defaultStateDir(env)))),
    runtime: pick('runtime', 'E2B_SERVER_RUNTIME', 'auto'),
    user: pick('user', 'E2B_SERVER_USER'),
    hostRoot: pick('hostRoot', 'E2B_SERVER_HOST_ROOT'),
    path: env.PATH ?? defaultPath,
    dockerTransport: pick('dockerTransport', 'E2B_SERVER_DOCKER_TRANSPORT', 'auto'),
    logLevel: pick('logLevel', 'E2B_SERVER_LOG_LEVEL', 'info'),
    logFormat: pick('logFormat', 'E2B_SERVER_LOG_FORMAT', 'auto'),
    apiKey: env.E2B_SERVER_API_KEY,
    apiKeyFile: pick('apiKeyFile', 'E2B_SERVER_API_KEY_FILE'),
    domain: pick('domain', 'E2B_SERVER_DOMAIN'),
    tls,
    ...given,
    dns: pick('dns', 'E2B_SERVER_DNS'),
    maxConnections: pick('maxConnections', 'E2B_SERVER_MAX_CONNECTIONS', String(ownBounds.sandbox)),
    dataWorkers: pick('dataWorkers', 'E2B_SERVER_DATA_WORKERS', String(availableParallelism())),
    openEgress: String(pick('openEgress', 'E2B_SERVER_OPEN_EGRESS', '')),
    egressAllow: pick('egressAllow', 'E2B_SERVER_EGRESS_ALLOW', ''),
    registryMirror: pick('registryMirror', 'E2B_SERVER_REGISTRY_MIRROR'),
    registryAllow: pick('registryAllow', 'E2B_SERVER_REGISTRY_ALLOW', ''),
    imagesFromEngine: String(pick('imagesFromEngine', 'E2B_SERVER_IMAGES_FROM_ENGINE', '')),
    offline: String(pick('offline', 'E2B_SERVER_OFFLINE', '')),
    buildEnv: buildEnvLines(pick('buildEnv', 'E2B_SERVER_BUILD_ENV'), env),
    sandboxCa: pick('sandboxCa', 'E2B_SERVER_SANDBOX_CA'),
    webhookAllow: pick('webhookAllow', 'E2B_SERVER_WEBHOOK_ALLOW', ''),
    adminToken: env.E2B_SERVER_ADMIN_TOKEN || undefined,
    adminTokenFile: pick('adminTokenFile', 'E2B_SERVER_ADMIN_TOKEN_FILE'),
    limits: {
      runningSandboxes: pick('limitSandboxes', 'E2B_SERVER_LIMIT_SANDBOXES'),
      vcpu: pick('limitVcpu', 'E2B_SERVER_LIMIT_VCPU'),
      memoryMb: pick('limitMemoryMb', 'E2B_SERVER_LIMIT_MEMORY_MB'),
      createsPerSecond: pick('limitCreatesPerSecond', 'E2B_SERVER_LIMIT_CREATES_PER_SECOND'),
      lifetimeS: pick('maxLifetimeHours', 'E2B_SERVER_MAX_LIFETIME_HOURS'),
    },
    // Starting is work for CPUs and the engine alike; more at once make each slower and none sooner.
    maxStarting: pick(
      'maxStarting',
      'E2B_SERVER_MAX_STARTING',
      String(Math.max(4, 2 * availableParallelism())),
    ),
    startWaitS: pick('startWait', 'E2B_SERVER_START_WAIT', '50'),
    keepFree: {
      memoryMb: pick('minFreeMemoryMb', 'E2B_SERVER_MIN_FREE_MEMORY_MB'),
      diskMb: pick('minFreeDiskMb', 'E2B_SERVER_MIN_FREE_DISK_MB', '1024'),
    },
    warmMemoryMb: pick('warmMemoryMb', 'E2B_SERVER_WARM_MEMORY_MB', String(defaultWarmMemoryMb())),
    limitDisk: String(flags.limitDisk ?? (env.E2B_SERVER_LIMIT_DISK || 'auto')),
    // Their steps are mostly installations, which wait for disk and network as much as they take CPU.
    maxBuilds: pick('maxBuilds', 'E2B_SERVER_MAX_BUILDS', String(Math.max(4, availableParallelism()))),
    readyWaitS: pick('readyWait', 'E2B_SERVER_READY_WAIT', '600'),
    templateCacheMb: pick('templateCacheMb', 'E2B_SERVER_TEMPLATE_CACHE_MB', '20480'),
    maxUploadMb: pick('maxUploadMb', 'E2B_SERVER_MAX_UPLOAD_MB', '2048'),
    maxTeamUploadsMb: pick('maxTeamUploadsMb', 'E2B_SERVER_MAX_TEAM_UPLOADS_MB', '20480'),
    buildStock: flags.buildStock ?? (env.E2B_SERVER_BUILD_STOCK || true),
    stockDir: pick('stockDir', 'E2B_SERVER_STOCK_DIR'),
    otlpEndpoint: pick('otlpEndpoint', 'E2B_SERVER_OTLP_ENDPOINT'),
    destroyOnExit: flags.destroyOnExit === true,
    dockerHost: env.DOCKER_HOST,
  })
  const faults = parsed.success ? nameFaults(parsed.data) : parsed.error.issues.map(({ message }) => message)
  if (parsed.success && faults.length === 0) return parsed.data
  throw new ConfigError(faults.map((fault) => `${fault}.`).join(' '))
}

/** A sixteenth of this machine's memory: an idle guest takes some megabytes, one with a start command some hundred. */
function defaultWarmMemoryMb(): number {
  return Math.floor(totalmem() / 2 ** 20 / 16)
}

function defaultStateDir(env: NodeJS.ProcessEnv): string {
  if (process.getuid?.() === 0) return '/var/lib/e2b-server'
  return resolve(env.XDG_STATE_HOME ?? resolve(homedir(), '.local/state'), 'e2b-server')
}
