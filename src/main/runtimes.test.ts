import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { silentLog } from '../lib/log.ts'
import { ConfigError, readConfig } from './config.ts'
import { chooseRuntime, requireUsable } from './runtimes.ts'

/** A machine without a helper: nobody listens there. */
const hostRoot = join(tmpdir(), 'e2b-no-helper')
/** Nor with an engine */
const nowhere = { DOCKER_HOST: `unix://${join(tmpdir(), 'e2b-no-engine.sock')}` }
const none = { sandboxes: [], builds: [] }

async function choose(flags: Record<string, string>, runtimes: { sandboxes: string[]; builds: string[] }) {
  const config = readConfig({ hostRoot, stateDir: tmpdir(), ...flags }, {})
  const { runtime, why } = await chooseRuntime(config, { instanceId: 'test', runtimes }, silentLog)
  await runtime.close()
  return { name: runtime.name, why }
}

test('where none can be used it says why of each, once', async () => {
  const config = readConfig({ hostRoot, stateDir: tmpdir() }, nowhere)
  const chosen = await chooseRuntime(config, { instanceId: 'test', runtimes: none }, silentLog)
  const error = await requireUsable(chosen, config).catch((thrown: Error) => thrown)
  await chosen.runtime.close()
  expect(error).toBeInstanceOf(ConfigError)
  expect((error as Error).message.match(/The \w+ runtime can't be used/g)).toEqual([
    "The native runtime can't be used",
    "The docker runtime can't be used",
  ])
})

test("what a state directory is bound to is taken also where it can't be used, and both are said", async () => {
  const config = readConfig({ stateDir: tmpdir() }, nowhere)
  const state = { instanceId: 'test', runtimes: { sandboxes: [], builds: ['docker'] } }
  const chosen = await chooseRuntime(config, state, silentLog)
  await expect(requireUsable(chosen, config)).rejects.toThrow(
    /^The docker runtime can't be used: There is no Docker engine at .* The templates of this state directory are of the docker runtime\./,
  )
  await chosen.runtime.close()
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
  for (const runtime of ['native', 'docker', 'gvisor', 'process'])
    expect(await choose({ runtime }, { sandboxes: ['docker'], builds: [] })).toEqual({
      name: runtime,
      why: undefined,
    })
})
