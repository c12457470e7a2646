import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { expect, test } from 'vitest'
import { systemBundle } from './system-bundle.ts'

test('the first store with certificates in it, and where there is none what Node.js comes with', () => {
  const folder = mkdtempSync(join(tmpdir(), 'e2b-bundle-'))
  try {
    const [empty, store, missing] = [join(folder, 'empty'), join(folder, 'store'), join(folder, 'missing')]
    writeFileSync(empty, '# none yet\n')
    writeFileSync(store, `${rootCertificates[0]}\n`)
    expect(systemBundle([missing, empty, store])).toBe(`${rootCertificates[0]}\n`)
    expect(systemBundle([missing, empty])).toBe(`${rootCertificates.join('\n')}\n`)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
