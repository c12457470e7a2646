import { rmSync } from 'node:fs'
import { generateApiKey, hashApiKey, isApiKeyShaped } from '../auth/api-key.ts'
import { createApiKey } from '../control/create-api-key.ts'
import type { Store } from '../domain/store.ts'
import { systemClock } from '../lib/clock.ts'
import { type Config, ConfigError } from './config.ts'
import { apiKeyPath, type KeySource, readIfThere, type ServerInfo, writePrivate } from './state-dir.ts'
import { ensureTeam } from './teams.ts'

/** Holds a key, because arguments are visible to every user of the machine. */
const keyVariable = 'E2B_SERVER_API_KEY'

/**
 * Makes sure that there is a team and a key: the given one, else the one made at the first start. A key that was
 * deleted stays deleted; its file went with it, and a new one is made. Returns the team's id.
 */
export async function ensureApiKey(store: Store, config: Config): Promise<string> {
  const team = await ensureTeam(store)
  const given = givenApiKey(config)
  const kept = readIfThere(apiKeyPath(config.stateDir))?.trim()
  const key = given ?? kept ?? generateApiKey()
  if (!isApiKeyShaped(key)) {
    throw new ConfigError(
      `${apiKeyPath(config.stateDir)} holds no API key. Remove it, and the next start makes one.`,
    )
  }
  if (given === undefined && kept === undefined) writePrivate(apiKeyPath(config.stateDir), `${key}\n`)
  if ((await store.apiKeys.findByHash(hashApiKey(key))) === undefined)
    await createApiKey({ store, clock: systemClock() }, { teamId: team, name: 'server', key })
  return team
}

/** Deletes a key for good; the server's own goes with its file. Errors: `not_found`. */
export async function deleteApiKey(store: Store, config: Config, id: string): Promise<void> {
  const kept = readIfThere(apiKeyPath(config.stateDir))?.trim()
  const own = kept === undefined ? undefined : await store.apiKeys.findByHash(hashApiKey(kept))
  await store.apiKeys.remove(id)
  if (own?.id === id) rmSync(apiKeyPath(config.stateDir), { force: true })
}

/** Where the key comes from that a server with this configuration is given. */
export function keySource({ apiKey, apiKeyFile }: Config): KeySource {
  if (apiKey !== undefined && apiKey !== '') return { variable: keyVariable }
  return apiKeyFile === undefined ? null : { file: apiKeyFile }
}

/**
 * The key that programs should send: the one given to this command, else the one given to the server that runs, else
 * the one made at the first start. Errors: `ConfigError` with where it can be had.
 */
export function serverApiKey(config: Config, running?: Pick<ServerInfo, 'keySource'>): string {
  const source = running?.keySource ?? null
  const given = givenApiKey(config) ?? (source !== null && 'file' in source ? keyIn(source.file) : undefined)
  const key = given ?? readIfThere(apiKeyPath(config.stateDir))?.trim()
  if (key !== undefined) return key
  throw new ConfigError(
    source !== null && 'variable' in source
      ? `The server was given its key by ${source.variable}, which isn't kept: set it in this shell too, or make another key with "npx e2b-server keys create".`
      : `There is no key in ${config.stateDir} yet: run "npm start" once, or name the --state-dir.`,
  )
}

function givenApiKey({ apiKey, apiKeyFile }: Config): string | undefined {
  if (apiKey === undefined || apiKey === '') return apiKeyFile === undefined ? undefined : keyIn(apiKeyFile)
  return requireShape(apiKey)
}

function keyIn(file: string): string {
  const key = readIfThere(file)?.trim()
  if (key) return requireShape(key)
  throw new ConfigError(`--api-key-file ${file} is missing or empty.`)
}

function requireShape(key: string): string {
  if (isApiKeyShaped(key)) return key
  throw new ConfigError(
    'The given API key must be "e2b_" and lower-case hex digits: E2B\'s SDKs check that shape.',
  )
}
