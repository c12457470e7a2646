import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { silentLog } from '../lib/log.ts'
import { readConfig } from './config.ts'
import { chooseRuntime } from './runtimes.ts'

/** A machine without a helper: nobody listens there. */
const hostRoot = join(tmpdir(), 'e2b-no-helper')
const none = { sandboxes: [], builds: [] }

async function choose(flags: Record<string, string>, runtimes: { sandboxes: string[]; builds: string[] }) {
  const config = readConfig({ hostRoot, stateDir: tmpdir(), ...flags }, {})
  const { runtime, why } = await chooseRuntime(config, { instanceId: 'test', runtimes }, silentLog)
  await runtime.close()
  return { name: runtime.name, why }
}

test('without the native runtime it is Docker, and why is said', async () => {
  expect(await choose({}, none)).toEqual({ name: 'docker', why: expect.stringMatching(/\.$/) })
})

test('a state directory with sandboxes or templates stays with their runtime, sandboxes first', async () => {
  const both = { sandboxes: ['native', 'process'], builds: ['docker'] }
  expect(await choose({}, both)).toMatchObject({
    name: 'native',
    why: expect.stringMatching(/^The sandboxes/),
  })
  const templates = { sandboxes: ['process'], builds: ['docker'] }
  expect(await choose({}, templates)).toMatchObject({
    name: 'docker',
    why: expect.stringMatching(/^The templates .* of the docker runtime\. .*--state-dir/),
  })
})

test('what is asked for is taken, whatever the state directory has', async () => {
  for (const runtime of ['native', 'docker', 'process'])
    expect(await choose({ runtime }, { sandboxes: ['docker'], builds: [] })).toEqual({
      name: runtime,
      why: undefined,
    })
})
