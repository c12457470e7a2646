import { X509Certificate } from 'node:crypto'
import type { CredentialsSource } from '../domain/credentials.ts'
import { sleep } from '../lib/deadline.ts'
import type { Log } from '../lib/log.ts'
import { openLocalCa } from './local-ca.ts'

/** How often a certificate's end is looked at, and how long before it there is a new one, in milliseconds. */
const checkIntervalMs = 3_600_000
const renewBeforeMs = 30 * 86_400_000

export interface LocalCredentialsOptions {
  /** Of the authority's files */
  folder: string
  domain: string
  log: Log
  /** Unix milliseconds */
  now?: () => number
  checkIntervalMs?: number
}

/** Certificates of an authority of this server's own, renewed before they expire. Errors: those of `openLocalCa`. */
export async function localCredentials(options: LocalCredentialsOptions): Promise<CredentialsSource> {
  const { folder, domain, log, now = Date.now, checkIntervalMs: intervalMs = checkIntervalMs } = options
  const authority = await openLocalCa(folder, domain)
  const first = await authority.issue(now())
  return {
    first,
    authority: { file: authority.file, bundleFile: authority.bundleFile },
    async watch(onChange, signal) {
      let expiresAt = endOf(first.cert)
      while (!signal.aborted) {
        await sleep(intervalMs, signal).catch(() => {})
        if (signal.aborted || now() < expiresAt - renewBeforeMs) continue
        try {
          const renewed = await authority.issue(now())
          expiresAt = endOf(renewed.cert)
          onChange(renewed)
        } catch (error) {
          log.error({ err: error }, 'the certificate could not be renewed')
        }
      }
    },
  }
}

function endOf(cert: string): number {
  return Date.parse(new X509Certificate(cert).validTo)
}
