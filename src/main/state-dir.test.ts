import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ConfigError } from './config.ts'
import { claimStateDir, prepareStateDir, readServerInfo } from './state-dir.ts'

let folder: string
beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), 'e2b-state-')), 'state')
})
afterEach(() => rmSync(join(folder, '..'), { recursive: true, force: true }))

test('is private, and says where its server listens while that lives', () => {
  prepareStateDir(folder)
  expect(statSync(folder).mode & 0o777).toBe(0o700)
  const claim = claimStateDir(folder)
  claim.publish({ url: 'http://127.0.0.1:1', version: '1.2.3' })
  claim.publish({ isStopping: true })
  expect(readServerInfo(folder)).toMatchObject({
    pid: process.pid,
    url: 'http://127.0.0.1:1',
    version: '1.2.3',
    isStopping: true,
  })
  expect(statSync(join(folder, 'server.json')).mode & 0o777).toBe(0o600)
  claim.release()
  expect(readServerInfo(folder)).toBeUndefined()
})

test('belongs to one server; a dead one’s record and a reused pid don’t count', async () => {
  prepareStateDir(folder)
  const claim = claimStateDir(folder)
  expect(() => claimStateDir(folder)).toThrow(ConfigError)
  claim.release()
  claimStateDir(folder).release()

  const other = spawn('sleep', ['60'])
  const record = (processStart: string | null) =>
    writeFileSync(join(folder, 'server.json'), JSON.stringify({ pid: other.pid, processStart, url: null }))
  record('1')
  expect(readServerInfo(folder)).toBeUndefined()
  record(null)
  expect(readServerInfo(folder)?.pid).toBe(other.pid)
  other.kill('SIGKILL')
  await once(other, 'exit')
  expect(readServerInfo(folder)).toBeUndefined()
  writeFileSync(join(folder, 'server.json'), '{"pid":')
  expect(readServerInfo(folder)).toBeUndefined()
})

test('one that can’t be made is refused with what to do', () => {
  prepareStateDir(folder)
  const file = join(folder, 'file')
  writeFileSync(file, '')
  expect(() => prepareStateDir(join(file, 'state'))).toThrow(/--state-dir/)
  expect(() => prepareStateDir('/proc/nowhere')).toThrow(/--state-dir/)
})
