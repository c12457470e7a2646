import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { silentLog } from '../lib/log.ts'
import { readConfig } from './config.ts'
import { chooseRuntime } from './runtimes.ts'

test('where no helper answers it is the engine that does, and why is said', async () => {
  const config = readConfig({ hostRoot: join(tmpdir(), 'e2b-no-helper'), stateDir: tmpdir() }, {})
  const state = { instanceId: 'test', runtimes: { sandboxes: [], builds: [] } }
  const { runtime, why } = await chooseRuntime(config, state, silentLog)
  await runtime.close()
  expect(runtime.name).toBe('docker')
  expect(why).toMatch(/^The native runtime can't be used: .* Docker is usable\.$/)
})
