/** What this machine's programs trust. */
import { readFileSync } from 'node:fs'
import { rootCertificates } from 'node:tls'

/** Where distributions keep it as one file: Debian, Ubuntu, Alpine, Arch; Fedora's two names; SUSE; others. */
const places = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
]

/**
 * The certificates of this machine's store as PEM, for files that take its place; those that Node.js comes with where
 * there is no store, as a file with none of them would cut programs off from everything else.
 */
export function systemBundle(candidates: readonly string[] = places): string {
  for (const path of candidates) {
    try {
      const text = readFileSync(path, 'utf8')
      if (text.includes('-----BEGIN CERTIFICATE-----')) return text
    } catch {
      // Another distribution's.
    }
  }
  return `${rootCertificates.join('\n')}\n`
}
