import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ensureAdminToken } from './admin-token.ts'
import { ConfigError, readConfig } from './config.ts'

let stateDir: string
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'e2b-admin-'))
})
afterEach(() => rmSync(stateDir, { recursive: true }))

const tokenOf = (flags: Record<string, string> = {}, env: Record<string, string> = {}) =>
  ensureAdminToken(readConfig({ stateDir, ...flags }, env))

test('is made once, for nobody else to read', () => {
  const token = tokenOf()
  expect(token).toMatch(/^[0-9a-f]{64}$/)
  expect(tokenOf()).toBe(token)
  expect(readFileSync(join(stateDir, 'admin-token'), 'utf8')).toBe(`${token}\n`)
  expect(statSync(join(stateDir, 'admin-token')).mode & 0o777).toBe(0o600)
})

test('is the given one: the environment’s before the file’s', () => {
  const adminTokenFile = join(stateDir, 'mine')
  writeFileSync(adminTokenFile, ' from-the-given-file\n')
  expect(tokenOf({ adminTokenFile })).toBe('from-the-given-file')
  expect(tokenOf({ adminTokenFile }, { E2B_SERVER_ADMIN_TOKEN: 'from-the-environment' })).toBe(
    'from-the-environment',
  )
})

test('a missing or weak one is refused, and not repeated', () => {
  const adminTokenFile = join(stateDir, 'mine')
  expect(() => tokenOf({ adminTokenFile })).toThrow(/mine is missing/)
  writeFileSync(adminTokenFile, 'short')
  expect(() => tokenOf({ adminTokenFile })).toThrow(/16 to 512/)
  expect(() => tokenOf({}, { E2B_SERVER_ADMIN_TOKEN: 'with blanks in between' })).toThrow(ConfigError)
  expect(() => tokenOf({}, { E2B_SERVER_ADMIN_TOKEN: 'with blanks in between' })).not.toThrow(
    /blanks in between/,
  )
})
