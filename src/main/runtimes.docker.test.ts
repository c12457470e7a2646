import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { silentLog } from '../lib/log.ts'
import { readConfig } from './config.ts'
import { chooseRuntime, requireUsable } from './runtimes.ts'

const hostRoot = join(tmpdir(), 'e2b-no-helper')
const state = { instanceId: 'test', runtimes: { sandboxes: [], builds: [] } }

test('where no helper answers it is the engine that does, and why is said', async () => {
  const config = readConfig({ hostRoot, stateDir: tmpdir() }, {})
  const { runtime, why } = await chooseRuntime(config, state, silentLog)
  await runtime.close()
  expect(runtime.name).toBe('docker')
  expect(why).toMatch(/^The native runtime can't be used: .* Docker is usable\.$/)
})

test('a server that is to limit disks starts on no runtime that does not', async () => {
  const config = readConfig({ hostRoot, stateDir: tmpdir(), limitDisk: true }, {})
  const chosen = await chooseRuntime(config, state, silentLog)
  await expect(requireUsable(chosen, config)).rejects.toThrow(
    /^--limit-disk can't be had of the docker runtime: .* The native runtime can't be used/,
  )
  await chosen.runtime.close()
})
