import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { afterAll, expect, test } from 'vitest'
import { readAuthorities } from './open-provision.ts'

const folder = mkdtempSync(join(tmpdir(), 'e2b-authorities-'))
afterAll(() => rmSync(folder, { recursive: true }))
const [one = '', two = ''] = rootCertificates

function file(text: string): string {
  const path = join(folder, 'ca.pem')
  writeFileSync(path, text)
  return path
}

test('certificates are taken each once, without what stands between them', () => {
  const { pem, certificates } = readAuthorities(
    file(`A comment\r\n${one.replaceAll('\n', '\r\n')}\n# more\n${two}\n${one}`),
  )
  expect(certificates).toHaveLength(2)
  expect(pem.split('\n').filter((line) => line.includes('BEGIN'))).toHaveLength(2)
  expect(pem).not.toMatch(/comment|more|\r/)
  expect(pem.endsWith('-----END CERTIFICATE-----\n')).toBe(true)
})

test.each([
  ['no certificate', 'nothing', /has no certificate in PEM/],
  ['a damaged one', one.replace('MII', 'AAA'), /its certificate number 1 can't be read/],
  ['a private key', `${one}\n-----BEGIN EC PRIVATE KEY-----\n`, /has a private key/],
  ['too much', 'x'.repeat(2 ** 20 + 1), /is larger than 1 MiB/],
  [
    'too many',
    '-----BEGIN CERTIFICATE-----\nA-----END CERTIFICATE-----\n'.repeat(501),
    /more than 500 certificates/,
  ],
])('%s is refused with the reason', (_what, text, message) => {
  expect(() => readAuthorities(file(text))).toThrow(message)
})

test('a file that is not there is refused', () => {
  expect(() => readAuthorities(join(folder, 'none.pem'))).toThrow(/--sandbox-ca: .*none.pem can't be read/)
})
