/** What programs on this machine need to know to find the server. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Authority } from '../domain/credentials.ts'
import type { Config } from './config.ts'
import { authorityFolder, publicDomain } from './names.ts'
import type { Reach } from './state-dir.ts'

/** The variables that point an E2B SDK at a server; null: one that must not be set. */
export function clientEnv(
  apiKey: string,
  url: string,
  { domain, authority }: Pick<Reach, 'domain' | 'authority'>,
): Record<string, string | null> {
  if (domain === null) return { E2B_API_KEY: apiKey, E2B_API_URL: url, E2B_SANDBOX_URL: url }
  return {
    E2B_API_KEY: apiKey,
    E2B_DOMAIN: domain,
    // These would win.
    E2B_API_URL: null,
    E2B_SANDBOX_URL: null,
    ...(authority !== null && {
      // Node.js adds this file to what it trusts; the others trust the file that they are given and no more.
      NODE_EXTRA_CA_CERTS: authority.file,
      SSL_CERT_FILE: authority.bundleFile,
      REQUESTS_CA_BUNDLE: authority.bundleFile,
      CURL_CA_BUNDLE: authority.bundleFile,
    }),
  }
}

/** How a server that isn't running will be reached. */
export function reachOf(config: Config): Pick<Reach, 'domain' | 'authority'> {
  const { domain, tls, tlsCert, port, stateDir } = config
  if (domain === undefined) return { domain: null, authority: null }
  const folder = authorityFolder(stateDir, domain.name)
  const authority = { file: join(folder, 'ca.pem'), bundleFile: join(folder, 'ca-bundle.pem') }
  const isLocal = tls && tlsCert === undefined && existsSync(authority.file)
  return { domain: publicDomain(config, port), authority: isLocal ? authority : null }
}

/** What a person does so that clients trust a local authority. `where`: the flag that commands need to find the server. */
export function howToTrust({ file }: Authority, where: string): string {
  return `Its certificate comes from an authority of its own, which vouches for names under this domain only: ${file}
"npx e2b-server domain on${where}", as root, makes this machine trust it and find the names. Node.js and some others have stores
of their own: "env" prints their variables. Browsers import the file as an authority for web sites.`
}
