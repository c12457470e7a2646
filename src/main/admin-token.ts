import { newToken } from '../lib/ids.ts'
import { type Config, ConfigError } from './config.ts'
import { adminTokenPath, readIfThere, writePrivate } from './state-dir.ts'

/** The operator's token: the given one, else the one made at the first start. Errors: `ConfigError`. */
export function ensureAdminToken(config: Config): string {
  const path = config.adminTokenFile ?? adminTokenPath(config.stateDir)
  const given = config.adminToken ?? readIfThere(path)?.trim()
  if (given !== undefined) return requireStrong(given, config.adminToken === undefined ? path : undefined)
  if (config.adminTokenFile !== undefined)
    throw new ConfigError(`--admin-token-file ${config.adminTokenFile} is missing.`)
  const token = newToken()
  writePrivate(path, `${token}\n`)
  return token
}

/** It opens every team, and it travels in a header. */
function requireStrong(token: string, path: string | undefined): string {
  if (/^[\x21-\x7e]{16,512}$/.test(token)) return token
  throw new ConfigError(
    `The admin token in ${path ?? 'E2B_SERVER_ADMIN_TOKEN'} must have 16 to 512 visible ASCII characters and no blanks.`,
  )
}
