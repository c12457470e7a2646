import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { newId } from '../lib/ids.ts'
import { silentLog } from '../lib/log.ts'
import { readConfig } from './config.ts'
import { chooseRuntime, requireUsable } from './runtimes.ts'

const stateDir = mkdtempSync(join(tmpdir(), 'e2b-auto-'))
afterAll(() => rmSync(stateDir, { recursive: true }))

test('it is the native runtime where that can be used, whether an engine answers or not', async () => {
  const state = { instanceId: newId(), runtimes: { sandboxes: [], builds: [] } }
  const config = readConfig({ stateDir, limitDisk: true }, {})
  const chosen = await chooseRuntime(config, state, silentLog)
  try {
    expect(chosen.runtime.name).toBe('native')
    expect(chosen.why).toMatch(/without an engine\.$/)
    expect(await requireUsable(chosen, config)).toMatchObject({ usable: true })
  } finally {
    await chosen.runtime.close()
  }
})

test('sandboxes have disks of their own unless a flag says otherwise', async () => {
  const state = { instanceId: newId(), runtimes: { sandboxes: [], builds: [] } }
  for (const limitDisk of [undefined, false]) {
    const config = readConfig({ stateDir, runtime: 'native', ...(limitDisk === false && { limitDisk }) }, {})
    const chosen = await chooseRuntime(config, state, silentLog)
    try {
      const { isolation, sharedDisk } = await requireUsable(chosen, config)
      const has = limitDisk === undefined
      expect([isolation?.['disk limits'], chosen.runtime.capabilities.diskLimit]).toEqual([has, has])
      expect(sharedDisk).toEqual(has ? undefined : expect.stringContaining('--no-limit-disk'))
    } finally {
      await chosen.runtime.close()
    }
  }
})
