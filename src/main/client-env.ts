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
      NODE_EXTRA_CA_CERTS: authority.file,
      SSL_CERT_FILE: authority.bundleFile,
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

/** What a person does so that clients trust a local authority. */
export function howToTrust({ file, bundleFile }: Authority): string {
  return `Its certificate comes from an authority of its own, ${file}, which clients have to trust:
  Node.js   NODE_EXTRA_CA_CERTS=${file}
  Python    SSL_CERT_FILE=${bundleFile}
  curl      curl --cacert ${file}
  Debian    cp ${file} /usr/local/share/ca-certificates/e2b-server.crt && update-ca-certificates
  browsers  import that file as an authority for web sites
It vouches for names under this domain only. Other users of this machine can't read it there: copy it for them.`
}
