/** A real engine behind a socket that can break and hang. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Docker from 'dockerode'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { baseImageName, buildBaseImage } from '../../../images/base/build.mjs'
import { agentBinary, hostBinary } from '../../../tests/support/agent.ts'
import { type EngineProxy, startEngineProxy } from '../../../tests/support/engine-proxy.ts'
import type { GuestHandle, Runtime } from '../../domain/runtime.ts'
import { hello } from '../../guest/hello.ts'
import { sleep } from '../../lib/deadline.ts'
import { newId, newSandboxId } from '../../lib/ids.ts'
import { silentLog } from '../../lib/log.ts'
import { guestOf, guestSpec, watch } from '../tools.suite.ts'
import { instanceLabel } from './container.ts'
import { createDockerRuntime } from './runtime.ts'

const patience = () => AbortSignal.timeout(30_000)
/** What the contract allows, and a little for a busy machine */
const unavailableWithinMs = 2_200
const docker = new Docker({ socketPath: '/var/run/docker.sock' })
const instanceId = newId()
const image = await baseImageName()
let stateDir: string
let proxy: EngineProxy
let runtime: Runtime

beforeAll(async () => {
  await buildBaseImage({ log: () => {} })
  stateDir = await mkdtemp(join(tmpdir(), 'e2b-down-'))
}, 15 * 60_000)

beforeEach(async () => {
  proxy = await startEngineProxy()
  const shared = {
    stateDir,
    guestBinary: agentBinary,
    hostBinary,
    instanceId,
    transport: 'auto',
    log: silentLog,
  } as const
  runtime = createDockerRuntime({ ...shared, dockerHost: proxy.dockerHost })
})

afterEach(async () => {
  await proxy.resume()
  await engineBack()
  for (const handle of await runtime.list(patience())) await runtime.destroy(handle, patience())
  await runtime.close()
  await proxy[Symbol.asyncDispose]()
})

afterAll(async () => {
  const filters = { label: [`${instanceLabel}=${instanceId}`] }
  for (const { Id } of await docker.listNetworks({ filters })) await docker.getNetwork(Id).remove()
  await rm(stateDir, { recursive: true })
})

/** A return is noticed by the next ping, so calls may still fail at once for a moment. */
async function engineBack(): Promise<void> {
  const since = performance.now()
  while (!(await runtime.fingerprint(patience())).usable) await sleep(50)
  expect(performance.now() - since).toBeLessThan(1_500)
}

async function expectUnavailable(call: Promise<unknown>): Promise<void> {
  const before = performance.now()
  await expect(call).rejects.toMatchObject({ code: 'unavailable' })
  expect(performance.now() - before).toBeLessThan(unavailableWithinMs)
}

const methods = (handle: GuestHandle): [string, () => Promise<unknown>][] => [
  ['start', () => runtime.start(guestSpec(image), patience())],
  ['recover', () => runtime.recover(handle, patience())],
  ['stats', () => runtime.stats(handle, patience())],
  ['list', () => runtime.list(patience())],
  ['destroy', () => runtime.destroy(handle, patience())],
  ['images.inspect', () => runtime.images.inspect(image, patience())],
  ['images.pull', () => runtime.images.pull(image, {}, patience())],
  ['images.flatten', () => runtime.images.flatten(image, 'e2b-server/flat:test', patience())],
  ['images.remove', () => runtime.images.remove('e2b-server/nothing', patience())],
]

test.each(['stop', 'hang'] as const)(
  'every call is unavailable within 2 s after %s, and works again later',
  async (how) => {
    const handle = await runtime.start(guestSpec(image), patience())
    await proxy[how]()
    await Promise.all(methods(handle).map(([, call]) => expectUnavailable(call())))
    const fingerprint = await runtime.fingerprint(patience())
    expect(fingerprint).toMatchObject({ usable: false, detail: expect.stringContaining('Docker engine') })
    // The guest doesn't need the engine to be talked to.
    if (handle.state.transport === 'unix')
      expect((await hello(guestOf(runtime, handle), patience())).protocol).toBe(1)

    await proxy.resume()
    await engineBack()
    expect(await runtime.recover(handle, patience())).toBe('running')
    expect((await runtime.fingerprint(patience())).usable).toBe(true)
  },
)

test.each(['stop', 'hang'] as const)('calls under way are unavailable within 2 s after %s', async (how) => {
  await runtime.fingerprint(patience())
  const starting = runtime.start(guestSpec(image), patience())
  const fast = runtime.list(patience())
  await fast
  await proxy[how]()
  await expectUnavailable(starting)
})

test('watch tells of the engine going and coming, and then of guests again', async () => {
  const watching = watch(runtime)
  await watching.seen('engine-up')
  const [first, second] = [
    await runtime.start(guestSpec(image), patience()),
    await runtime.start(guestSpec(image), patience()),
  ]
  watching.events.length = 0
  proxy.hang()
  await watching.seen('engine-down')
  // Nobody hears of this one; who reconciles after engine-up finds it gone.
  await docker.getContainer(String(first.state.containerId)).kill()
  await proxy.resume()
  await watching.seen('engine-up')
  expect(await runtime.recover(first, patience())).toBe('stopped')
  await docker.getContainer(String(second.state.containerId)).kill()
  await watching.seen('guest-gone', second.sandboxId)
  expect(watching.events.map(({ type }) => type)).toEqual(['engine-down', 'engine-up', 'guest-gone'])
  watching.stop()
})

test('an engine that was never there is unavailable, and its place is named', async () => {
  const options = {
    stateDir,
    guestBinary: agentBinary,
    hostBinary,
    instanceId,
    transport: 'auto',
    log: silentLog,
  } as const
  const lost = createDockerRuntime({ ...options, dockerHost: `unix://${join(stateDir, 'nothing.sock')}` })
  await expectUnavailable(lost.list(patience()))
  expect((await lost.fingerprint(patience())).detail).toContain('Install and start Docker')
  await lost.close()
})

test('a closed runtime refuses', async () => {
  const options = {
    stateDir,
    guestBinary: agentBinary,
    hostBinary,
    instanceId,
    transport: 'auto',
    log: silentLog,
  } as const
  const closed = createDockerRuntime(options)
  await closed.images.inspect(image, patience())
  await closed.close()
  await expectUnavailable(closed.images.inspect(image, patience()))
  await expectUnavailable(closed.start(guestSpec(image, { sandboxId: newSandboxId() }), patience()))
})
