/**
 * What a restart of the host leaves: a server that was cut off, guests that have all ended, whatever they were, and
 * sockets that nobody listens on.
 */
import { join } from 'node:path'
import { Sandbox } from 'e2b'
import { expect, test } from 'vitest'
import { openSqliteStore } from '../../src/store/dialects/sqlite.ts'
import { holdingsOf } from '../support/holdings.ts'
import { startTestServer } from '../support/server.ts'
import { disagreements } from './support/disagreements.ts'

const bootIdPath = '/proc/sys/kernel/random/boot_id'

test('what was paused resumes from its files and says what is lost; what was to be kept is kept', async () => {
  await using server = await startTestServer()
  const create = async (onTimeout: 'pause' | 'kill') => {
    const sandbox = await Sandbox.create({ timeoutMs: 600_000, lifecycle: { onTimeout } })
    await sandbox.files.write('kept', onTimeout)
    await sandbox.commands.run('sleep 10000', { background: true, timeoutMs: 0 })
    return sandbox
  }
  const paused = await create('kill')
  const bootId = await paused.files.read(bootIdPath)
  await paused.pause()
  const persistent = await create('pause')
  const passing = await create('kill')

  await server.end('SIGKILL')
  const store = await openSqliteStore({ path: join(server.stateDir, 'e2b-server.db') })
  await (await holdingsOf(server.stateDir)).reboot()
  await server.restart()

  await expect
    .poll(() => disagreements({ store, stateDir: server.stateDir }), { timeout: 20_000 })
    .toEqual([expect.stringContaining('paused, its guest stopped')])
  expect(await passing.isRunning()).toBe(false)
  expect((await Sandbox.getInfo(persistent.sandboxId)).state).toBe('paused')

  const again = await Sandbox.connect(paused.sandboxId, { timeoutMs: 600_000 })
  expect(await again.files.read('kept')).toBe('kill')
  expect(await again.commands.list()).toEqual([])
  expect(await again.files.read(bootIdPath)).not.toBe(bootId)
  expect(server.output()).toContain('memoryLost')
  const [resumed] = await store.events.list({ sandboxId: paused.sandboxId, types: ['resumed'], limit: 1 })
  expect(resumed?.detail).toMatchObject({ memory: false, memoryLost: true })

  const kept = await Sandbox.connect(persistent.sandboxId, { timeoutMs: 600_000 })
  expect(await kept.files.read('kept')).toBe('pause')
  expect(await disagreements({ store, stateDir: server.stateDir })).toEqual([])
  await Promise.all([again.kill(), kept.kill()])
  await store.close()
})
