import { afterAll, beforeAll, expect, test } from 'vitest'
import { baseImageName, buildBaseImage } from '../../../images/base/build.mjs'
import type { GuestHandle, Runtime } from '../../domain/runtime.ts'
import { newId } from '../../lib/ids.ts'
import { guestOf, guestSpec, run } from '../tools.suite.ts'
import { container, docker, patience, server } from './runtime.fixture.ts'

const image = await baseImageName()
/** Longest time for a snapshot that is flattened, as long as the server gives one, in milliseconds */
const copyMs = 600_000
const isRoot = process.getuid?.() === 0

let one: Awaited<ReturnType<typeof server>>
let runtime: Runtime

beforeAll(() => buildBaseImage({ log: () => {} }), 15 * 60_000)
beforeAll(async () => {
  one = await server()
  runtime = one.create()
})
afterAll(async () => {
  await runtime.close()
  await one.dispose()
})

const start = (from = image) => runtime.start(guestSpec(from), patience())
const snapshot = async (handle: GuestHandle, signal = patience()) => {
  const name = `e2b-server/test-${newId()}:snapshot`
  await runtime.snapshot(handle, name, signal)
  return name
}
/** Sets, then shows file metadata. */
const setMetadata = (value: string) =>
  `python3 -c 'import os; os.setxattr("/root/file", "user.e2b.key", b"${value}")'`
const getMetadata = `python3 -c 'import os; print(os.getxattr("/root/file", "user.e2b.key").decode())'`

test('nothing of the source shows in an image or in what is made of it', async () => {
  const source = await start()
  const name = await snapshot(source)
  const { Config: config } = await docker.getImage(name).inspect()
  expect(JSON.stringify(config)).not.toContain(source.sandboxId)
  expect(config.Labels).toEqual({
    'e2b-server.cpus': '',
    'e2b-server.instance': one.instanceId,
    'e2b-server.snapshot': name,
    'e2b-server.sandbox': '',
    'e2b-server.transport': '',
  })
  const clone = await start(name)
  const { Config: made } = await container(clone).inspect()
  expect(made.Labels).toMatchObject({ 'e2b-server.sandbox': clone.sandboxId, 'e2b-server.snapshot': '' })
  expect(made.Env).toEqual((await container(source).inspect()).Config.Env)
  const listed = (await runtime.list(patience())).map(({ sandboxId }) => sandboxId)
  expect(listed.sort()).toEqual([source.sandboxId, clone.sandboxId].sort())

  // A container or an image that somebody makes of a snapshot is not the server's.
  const foreign = await docker.createContainer({ Image: name, Cmd: ['true'], Entrypoint: [] })
  const derived = `e2b-server/test-${newId()}`
  await foreign.commit({ repo: derived, tag: 'latest' })
  expect(await runtime.list(patience())).toHaveLength(2)
  expect(await runtime.images.list(patience())).toEqual([name])
  await foreign.remove()
  await docker.getImage(derived).remove()
  for (const handle of [source, clone]) await runtime.destroy(handle, patience())
  await runtime.images.remove(name, patience())
})

test('what other servers with the same engine have made is known by their ids', async () => {
  const [mine, other] = [await start(), await server()]
  const name = await snapshot(mine)
  const theirs = other.create()
  expect((await theirs.images.others(patience())).get(one.instanceId)).toEqual([name])
  expect(await theirs.images.list(patience())).toEqual([])
  expect((await runtime.images.others(patience())).has(one.instanceId)).toBe(false)
  await theirs.close()
  await other.dispose()
  await runtime.destroy(mine, patience())
  await runtime.images.remove(name, patience())
})

test('an image in use is not removed, and one that others are built on goes with the last of them', async () => {
  const source = await start()
  const first = await snapshot(source)
  const { Id: firstId } = await docker.getImage(first).inspect()
  const clone = await start(first)
  await run(guestOf(runtime, clone), 'touch /new')
  const second = await snapshot(clone)
  for (const memory of [true, false]) {
    await expect(runtime.images.remove(first, patience())).rejects.toMatchObject({ code: 'conflict' })
    await runtime.pause(clone, { memory }, patience())
  }
  await expect(runtime.images.remove(first, patience())).rejects.toMatchObject({ code: 'conflict' })
  expect(await runtime.images.inspect(first, patience())).toBeDefined()
  await runtime.destroy(clone, patience())

  await runtime.images.remove(first, patience())
  expect(await runtime.images.list(patience())).toEqual([second])
  const again = await start(second)
  expect((await run(guestOf(runtime, again), 'ls /new')).stdout).toBe('/new\n')
  await runtime.destroy(again, patience())
  await runtime.images.remove(second, patience())
  await expect(docker.getImage(firstId).inspect()).rejects.toMatchObject({ statusCode: 404 })
  await runtime.destroy(source, patience())
})

test.runIf(isRoot)("snapshots have their files' metadata, and so have snapshots of those", async () => {
  const source = await start()
  await run(guestOf(runtime, source), `touch ~/file; ${setMetadata('first')}`)
  const first = await snapshot(source)
  await run(guestOf(runtime, source), setMetadata('second'))
  const clone = await start(first)
  expect((await run(guestOf(runtime, clone), getMetadata)).stdout).toBe('first\n')
  await run(guestOf(runtime, clone), 'echo more >> ~/file')
  await runtime.pause(clone, { memory: false }, patience())
  const second = await snapshot(clone)
  const third = await start(second)
  expect((await run(guestOf(runtime, third), `${getMetadata}; cat ~/file`)).stdout).toBe('first\nmore\n')
  for (const handle of [source, clone, third]) await runtime.destroy(handle, patience())
  for (const name of [second, first]) await runtime.images.remove(name, patience())
})

test('a snapshot that fails leaves the guest as it was', async () => {
  const handle = await start()
  await expect(runtime.snapshot(handle, image, patience())).rejects.toMatchObject({ code: 'conflict' })
  for (const name of ['No Name', 'with:tag:twice', `a@sha256:${'0'.repeat(64)}`]) {
    await expect(runtime.snapshot(handle, name, patience())).rejects.toMatchObject({
      code: 'invalid_argument',
    })
  }
  expect(await runtime.recover(handle, patience())).toBe('running')
  expect(await runtime.images.list(patience())).toEqual([])
  await runtime.destroy(handle, patience())
})

test.runIf(isRoot)(
  'a chain of snapshots has no end: a deep one is flattened, with its metadata',
  { timeout: copyMs },
  async () => {
    const { layers } = (await runtime.images.inspect(image, patience()))!
    const flat = one.create({ layersMax: layers + 2 })
    const names: string[] = []
    let handle = await start()
    for (let depth = 1; depth <= 5; depth++) {
      const more = depth === 1 ? `touch ~/file; ${setMetadata('first')}; touch ~/gone` : 'rm -f ~/gone'
      await run(guestOf(flat, handle), `${more}; echo ${depth} >> ~/depths`)
      const name = `e2b-server/test-${newId()}:snapshot`
      await flat.snapshot(handle, name, AbortSignal.timeout(copyMs))
      await flat.destroy(handle, patience())
      names.push(name)
      handle = await flat.start(guestSpec(name), patience())
    }
    const found = await Promise.all(
      names.map(async (name) => (await flat.images.inspect(name, patience()))!.layers),
    )
    expect(found).toEqual([layers + 1, layers + 2, 1, 2, 3])
    const script = `cat ~/depths; ls ~/gone 2>/dev/null; ${getMetadata}`
    expect((await run(guestOf(flat, handle), script)).stdout).toBe('1\n2\n3\n4\n5\nfirst\n')
    const { Config: deep } = await docker.getImage(names[2]!).inspect()
    const { Config: base } = await docker.getImage(image).inspect()
    expect(deep.Env).toEqual(base.Env)
    expect(deep.Labels).toMatchObject({ 'e2b-server.snapshot': names[2], 'e2b-server.reader': '' })
    await flat.destroy(handle, patience())
    // Nothing of the steps on the way is left.
    const filters = { label: [`e2b-server.reader=${one.instanceId}`] }
    expect(await docker.listContainers({ all: true, filters })).toEqual([])
    expect(await docker.listImages({ filters: JSON.stringify(filters) })).toEqual([])
    expect((await flat.images.list(patience())).sort()).toEqual(names.sort())
    for (const name of names) await flat.images.remove(name, patience())
    await flat.close()
  },
)

/** With the engine's own limit, which is about 125 layers. */
const lengths = process.env.E2B_TEST_DEEP === undefined ? [] : [130]
for (const length of lengths) {
  test(`a chain of ${length} snapshots, each of a sandbox of the one before`, {
    timeout: 3_600_000,
  }, async () => {
    const names: string[] = []
    const layers: number[] = []
    for (let depth = 1; depth <= length; depth++) {
      const handle = await start(names.at(-1) ?? image)
      const lines = await run(guestOf(runtime, handle), `echo ${depth} >> ~/depths; wc -l < ~/depths`)
      expect(lines.stdout.trim()).toBe(String(depth))
      names.push(await snapshot(handle, AbortSignal.timeout(copyMs)))
      await runtime.destroy(handle, patience())
      layers.push((await runtime.images.inspect(names.at(-1)!, patience()))!.layers)
    }
    expect(Math.max(...layers)).toBeLessThan(length)
    expect(layers).toContain(1)
    for (const name of names.reverse()) await runtime.images.remove(name, patience())
  })
}

test('what a crash in the middle of a copy leaves is removed', async () => {
  const labels = { 'e2b-server.reader': one.instanceId }
  const left = await docker.createContainer({ Image: image, Entrypoint: ['/'], Labels: labels })
  const step = `e2b-server/deep:${newId()}`
  await left.commit({ repo: step.split(':')[0]!, tag: step.split(':')[1]! })
  const later = one.create()
  expect(await later.images.list(patience())).toEqual([])
  await expect(left.inspect()).rejects.toMatchObject({ statusCode: 404 })
  expect(await later.images.inspect(step, patience())).toBeUndefined()
  await later.close()
})
