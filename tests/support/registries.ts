/** A server whose builds and sandboxes reach the package registries that this machine reaches. */
import { execFile } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { lookup } from 'node:dns/promises'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { promisify } from 'node:util'
import { closedRanges } from '../../src/network/ranges.ts'
import { systemBundle } from '../../src/tls/system-bundle.ts'

/** Variables of this machine that lead its package managers elsewhere. */
const passedOn = ['PIP_INDEX_URL', 'npm_config_registry', 'http_proxy', 'https_proxy', 'no_proxy']

export interface Registries extends Disposable {
  /** For `startTestServer` */
  flags: string[]
}

/**
 * Whom this machine trusts besides the authorities that everybody does, sandboxes trust too; and where its names of
 * registries lead into a closed range, as by a proxy, that address is open to them.
 */
export async function reachRegistries(): Promise<Registries> {
  const folder = mkdtempSync(join(tmpdir(), 'e2b-registries-'))
  const flags = passedOn.flatMap((name) => (process.env[name] === undefined ? [] : ['--build-env', name]))
  const own = ownAuthorities()
  if (own.length > 0) {
    const file = join(folder, 'ca.pem')
    writeFileSync(file, own.join(''))
    flags.push('--sandbox-ca', file)
  }
  for (const address of await registryAddresses()) flags.push('--egress-allow', `${address}/32`)
  return { flags, [Symbol.dispose]: () => rmSync(folder, { recursive: true }) }
}

/** Of this machine's trust store, those that Node.js doesn't come with. */
function ownAuthorities(): string[] {
  const fingerprint = (pem: string) => new X509Certificate(pem).fingerprint256
  const known = new Set(rootCertificates.map(fingerprint))
  const blocks = systemBundle().match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----\n/g) ?? []
  return blocks.filter((block) => !known.has(fingerprint(block)))
}

/** Those that a sandbox would not reach. */
async function registryAddresses(): Promise<string[]> {
  const { stdout } = await promisify(execFile)('npm', ['config', 'get', 'registry'])
  const found = await lookup(new URL(stdout.trim()).hostname, { all: true, family: 4 }).catch(() => [])
  const closed = closedRanges()
  return found.map(({ address }) => address).filter((address) => closed.has(address))
}
