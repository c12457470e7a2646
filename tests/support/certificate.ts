import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Credentials } from '../../src/domain/credentials.ts'
import { openLocalCa } from '../../src/tls/local-ca.ts'

/** A certificate of an authority that nobody trusts, valid for 90 days from `fromMs` (Unix milliseconds; now). */
export async function testCertificate(domain: string, fromMs = Date.now()): Promise<Credentials> {
  const folder = mkdtempSync(join(tmpdir(), 'e2b-certificate-'))
  try {
    return await (await openLocalCa(folder, domain)).issue(fromMs)
  } finally {
    rmSync(folder, { recursive: true })
  }
}
