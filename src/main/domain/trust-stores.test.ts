import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { findTrustStore } from './trust-stores.ts'

test.each([
  ['Debian', 'usr/sbin/update-ca-certificates', 'usr/local/share', '/usr/local/share/ca-certificates'],
  ['Fedora', 'usr/bin/update-ca-trust', 'etc/pki/ca-trust/source/anchors', undefined],
  ['Arch', 'usr/bin/update-ca-trust', 'etc/ca-certificates/trust-source/anchors', undefined],
  ['SUSE', 'usr/sbin/update-ca-certificates', 'etc/pki/trust/anchors', undefined],
])('%s', (_, program, folder, expected = `/${folder}`) => {
  const root = mkdtempSync(join(tmpdir(), 'e2b-trust-'))
  try {
    expect(findTrustStore(root)).toBeUndefined()
    mkdirSync(join(root, program, '..'), { recursive: true })
    mkdirSync(join(root, folder), { recursive: true })
    writeFileSync(join(root, program), '')
    const store = findTrustStore(root)
    expect(store?.folder).toBe(expected)
    expect(program.endsWith(store?.add[0] ?? '?')).toBe(true)
  } finally {
    rmSync(root, { recursive: true })
  }
})
