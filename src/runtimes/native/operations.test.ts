/** What the runtime makes of answers that the real helper gives rarely; `runtime.test.ts` has all else. */
import { expect, test } from 'vitest'
import type { LayeredImages } from '../../domain/layers.ts'
import { silentLog } from '../../lib/log.ts'
import { toHandle } from '../host/handle.ts'
import { hello, type PeerRequest, startPeer } from '../host/host-peer.fixture.ts'
import { guestSpec } from '../tools.suite.ts'
import { createNativeRuntime } from './runtime.ts'

const patience = () => AbortSignal.timeout(20_000)
/** All that a start asks of images */
const images = { layersOf: async () => ['base'], close: async () => {} } as unknown as LayeredImages

function runtimeOf({ root }: { root: string }) {
  const egress = { open: false, allow: [] }
  const runtime = createNativeRuntime({ root, path: '', images: () => images, egress, log: silentLog })
  return { ...runtime, [Symbol.asyncDispose]: () => runtime.close() }
}
const noGuests = ({ ok }: PeerRequest) => ok({ sandboxes: [] })

test('the fingerprint has what the machine has, and names what it lacks', async () => {
  await using peer = await startPeer(noGuests)
  await using runtime = runtimeOf(peer)
  expect(await runtime.fingerprint(patience())).toMatchObject({
    usable: true,
    versions: { helper: '1.2.3', cgroups: 'v2' },
    isolation: { seccomp: true, 'user namespaces': false, 'cgroups v2': true },
  })
  const features = { ...hello.features, network: { has: false, why: 'There is no nft.' } }
  await using poor = await startPeer(noGuests, { ...hello, features })
  await using other = runtimeOf(poor)
  expect(await other.fingerprint(patience())).toMatchObject({ usable: false, detail: 'There is no nft.' })
  const ofMachine = { has: false, why: 'They see all of it.' }
  await using seen = await startPeer(noGuests, {
    ...hello,
    features: { ...hello.features, views: ofMachine },
  })
  await using last = runtimeOf(seen)
  expect(await last.fingerprint(patience())).toMatchObject({ usable: true, lacks: 'They see all of it.' })
  expect((await last.fingerprint(patience())).isolation).toMatchObject({ 'disk limits': false })
  await using nowhere = runtimeOf({ root: '/nonexistent' })
  expect(await nowhere.fingerprint(patience())).toMatchObject({
    usable: false,
    detail: expect.stringContaining('No helper listens at /nonexistent'),
  })
})

test('a disk whose size is not known is shared, and the fingerprint says so', async () => {
  const features = { ...hello.features, diskLimit: { has: true } }
  await using peer = await startPeer(noGuests, { ...hello, features })
  const egress = { open: false, allow: [] }
  const shared = { root: peer.root, path: '', images: () => images, egress, log: silentLog }
  const runtime = createNativeRuntime({ ...shared, limitDisk: 'auto', disk: '/nonexistent' })
  expect(await runtime.fingerprint(patience())).toMatchObject({
    usable: true,
    sharedDisk: expect.stringContaining('The disk of /nonexistent has a size that isn'),
  })
  expect(runtime.capabilities.diskLimit).toBe(false)
  await runtime.close()
})

test('a start whose outcome is not known leaves nothing, and one that the helper refused is its own matter', async () => {
  const outcomes = ['cut', 'conflict'] as const
  const killed: unknown[] = []
  let starts = 0
  await using peer = await startPeer((request) => {
    if (request.op === 'start') {
      if (outcomes[starts++] === 'cut') peer.cut()
      else request.fail('conflict')
    } else if (request.op === 'kill') {
      killed.push(request.fields.sandbox)
      request.ok()
    } else noGuests(request)
  })
  await using runtime = runtimeOf(peer)
  const [lost, refused] = [guestSpec('image'), guestSpec('image')]
  await expect(runtime.start(lost, patience())).rejects.toMatchObject({ code: 'unavailable' })
  await expect(runtime.start(refused, patience())).rejects.toMatchObject({ code: 'conflict' })
  expect(killed).toEqual([lost.sandboxId])
})

test('a guest without processes has nothing to freeze, and one that runs and is not frozen is an error', async () => {
  const states = ['stopped', 'running', 'no such state']
  await using peer = await startPeer((request) => {
    if (request.op === 'freeze') request.fail('failed_precondition')
    else if (request.op === 'stop') request.ok({})
    else if (request.op === 'find') request.ok({ state: states.shift(), layers: [], note: 'image' })
    else noGuests(request)
  })
  await using runtime = runtimeOf(peer)
  const pause = () => runtime.pause(toHandle('native', 'one'), { memory: true }, patience())
  expect(await pause()).toEqual({ memory: false })
  await expect(pause()).rejects.toMatchObject({ code: 'failed_precondition' })
  await expect(pause()).rejects.toMatchObject({ code: 'internal' })
})
