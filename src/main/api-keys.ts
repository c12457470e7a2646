import { rmSync } from 'node:fs'
import { generateApiKey, hashApiKey, isApiKeyShaped } from '../auth/api-key.ts'
import { createApiKey } from '../control/create-api-key.ts'
import type { Store } from '../domain/store.ts'
import { systemClock } from '../lib/clock.ts'
import { type Config, ConfigError } from './config.ts'
import { apiKeyPath, readIfThere, writePrivate } from './state-dir.ts'
import { ensureTeam } from './teams.ts'

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

/** The key that programs should send: the given one, else the one made at the first start. */
export function serverApiKey(config: Config): string {
  const key = givenApiKey(config) ?? readIfThere(apiKeyPath(config.stateDir))?.trim()
  if (key !== undefined) return key
  throw new ConfigError(
    `There is no key in ${config.stateDir} yet: run "npm start" once, or name the --state-dir.`,
  )
}

function givenApiKey(config: Config): string | undefined {
  const key = config.apiKey ?? (config.apiKeyFile && readIfThere(config.apiKeyFile)?.trim())
  if (key === undefined || key === '') {
    if (config.apiKeyFile === undefined) return undefined
    throw new ConfigError(`--api-key-file ${config.apiKeyFile} is missing or empty.`)
  }
  if (isApiKeyShaped(key)) return key
  throw new ConfigError(
    'The given API key must be "e2b_" and lower-case hex digits: E2B\'s SDKs check that shape.',
  )
}
