/** Images of layers, with the helper that keeps these. */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  createReadStream,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { writeImageArchive } from '../../images/base/image-archive.mjs'
import { newId } from '../lib/ids.ts'
import { patientSignal } from '../lib/patience.ts'
import { createEngineImages } from './engine-images.ts'
import { imageServer } from './store.fixture.ts'
import type { ImageStoreOptions } from './store.ts'

const patience = () => patientSignal(30_000)
const engine = createEngineImages('/var/run/docker.sock')
let folder: string
const servers: ReturnType<typeof imageServer>[] = []
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'e2b-images-'))
})
afterAll(async () => {
  for (const each of servers) await each.close()
  rmSync(folder, { recursive: true })
})

function server(provided?: ImageStoreOptions['provided']) {
  const made = imageServer(folder, provided)
  servers.push(made)
  return made
}

/** A tar of these files; a name that ends with `/` is a directory, content that is a list the target of a link. */
function tarOf(files: Record<string, string | Buffer | [string]>): Buffer {
  const place = join(folder, newId())
  mkdirSync(place)
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(place, name)), { recursive: true })
    if (Array.isArray(content)) execFileSync('ln', ['-s', content[0], join(place, name)])
    else if (name.endsWith('/')) mkdirSync(join(place, name), { recursive: true })
    else writeFileSync(join(place, name), content)
  }
  return execFileSync('tar', ['-C', place, '-c', ...readdirSync(place)])
}

/** As `docker save` writes it, with the last layer packed. */
function archiveOf(layers: Buffer[], config: object) {
  const place = join(folder, newId())
  mkdirSync(place)
  const ids = layers.map((layer) => `sha256:${createHash('sha256').update(layer).digest('hex')}`)
  const names = layers.map((layer, index) => {
    writeFileSync(join(place, `${index}.tar`), index === layers.length - 1 ? gzipSync(layer) : layer)
    return `${index}.tar`
  })
  writeFileSync(join(place, 'config'), JSON.stringify({ ...config, rootfs: { diff_ids: ids } }))
  writeFileSync(join(place, 'manifest.json'), JSON.stringify([{ Config: 'config', Layers: names }]))
  execFileSync('tar', ['-C', place, '-cf', `${place}.tar`, ...readdirSync(place)])
  return {
    stream: () => createReadStream(`${place}.tar`),
    ids: ids.map((id) => id.slice(7)),
  }
}

const config = {
  architecture: 'amd64',
  os: 'linux',
  config: { Env: ['A=b=c'], User: 'one', WorkingDir: '/w', Labels: { x: 'y', 'e2b-server.instance': 'z' } },
}
const rootfs = { env: {}, user: '', workdir: '/', labels: {}, architecture: 'amd64', os: 'linux' }

test('an archive becomes an image, is found by the next server, and goes with its layers', async () => {
  const { store, layers, root, file } = server()
  const one = store()
  const archive = archiveOf(
    [
      tarOf({ kept: 'low', 'dir/gone': 'low', 'closed/low': '' }),
      tarOf({ 'dir/.wh.gone': '', 'closed/.wh..wh..opq': '', 'closed/new': '' }),
    ],
    config,
  )
  // What a server has left that ended in the middle goes.
  await layers.layers(patience())
  writeFileSync(join(root, 'spool/left'), '')
  await one.take('team/image:1', { archive: archive.stream() }, patience())
  expect(readdirSync(join(root, 'spool'))).toEqual([])
  const info = await one.inspect('team/image:1', patience())
  expect(info).toMatchObject({
    id: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
    ...{ env: { A: 'b=c' }, user: 'one', workdir: '/w', labels: { x: 'y' } },
    ...{ isOwn: false, layers: 2, architecture: 'amd64', os: 'linux', sizeBytes: 6 },
  })
  expect(await one.layersOf('team/image:1', patience())).toEqual(archive.ids)
  await one.take('other', { archive: archive.stream() }, patience())
  expect(await one.inspect('other:latest', patience())).toEqual(info)
  expect((await layers.layers(patience())).sort()).toEqual(archive.ids.toSorted())

  const next = store()
  await next.flatten('other', 'e2b-server/flat:1', patience())
  const [flat, ...none] = await next.layersOf('e2b-server/flat:1', patience())
  expect(none).toEqual([])
  expect(readFileSync(file(flat!, 'kept'), 'utf8')).toBe('low')
  expect(existsSync(file(flat!, 'dir/gone'))).toBe(false)
  expect(readdirSync(file(flat!, 'closed'))).toEqual(['new'])
  expect(await next.list(patience())).toEqual(['e2b-server/flat:1'])
  expect(await next.inspect('e2b-server/flat:1', patience())).toMatchObject({
    isOwn: true,
    layers: 1,
    user: 'one',
  })
  await expect(next.flatten('other', 'e2b-server/flat:1', patience())).rejects.toMatchObject({
    code: 'conflict',
  })
  await expect(next.flatten('none', 'e2b-server/flat:2', patience())).rejects.toMatchObject({
    code: 'not_found',
  })

  await next.remove('team/image:1', patience())
  expect((await layers.layers(patience())).length).toBe(3)
  await next.remove('other', patience())
  await next.remove('other', patience())
  expect(await layers.layers(patience())).toEqual([flat])
  expect(await store().inspect('other', patience())).toBeUndefined()
})

test('a kept image is taken over by another server, and outlives what it is of', async () => {
  const [one, other] = [server(), server()]
  const maker = one.store()
  const tar = tarOf({ file: 'kept' })
  await maker.take('base:1', { tar: inPieces(tar), config: rootfs }, patience())
  const name = `kept:${newId()}`
  await maker.keep('base:1', name, 'a "note"', patience())
  await expect(maker.keep('base:1', name, '', patience())).rejects.toMatchObject({ code: 'conflict' })
  await maker.remove('base:1', patience())
  const taker = other.store()
  const found = { image: name, note: 'a "note"', createdAt: expect.any(Number) }
  expect((await taker.kept(patience())).filter(({ image }) => image === name)).toEqual([found])
  expect(await taker.inspect(name, patience())).toEqual(await maker.inspect(name, patience()))
  await expect(taker.keep(name, name, '', patience())).rejects.toMatchObject({ code: 'conflict' })
  const [layer] = await taker.layersOf(name, patience())
  // The same file, by another name: it takes no disk.
  expect(statSync(other.file(layer!, 'file')).ino).toBe(statSync(one.file(layer!, 'file')).ino)
  expect(await taker.list(patience())).toEqual([])
  await taker.add('e2b-server/made:1', { from: name, layers: [layer!], sizeBytes: 0 }, patience())

  await maker.remove(name, patience())
  expect(await one.layers.layers(patience())).toEqual([])
  expect(await one.store().kept(patience())).not.toContainEqual(found)
  expect(readFileSync(other.file(layer!, 'file'), 'utf8')).toBe('kept')
  await taker.remove(name, patience())
  expect(await other.layers.layers(patience())).toEqual([layer])
  expect(await other.store().list(patience())).toEqual(['e2b-server/made:1'])
})

test('a layer that no image has goes after ten minutes, unless there is a record that this server does not know', async () => {
  const { store, layers, root } = server()
  let now = 1000
  const images = store({ clock: { now: () => now } })
  await images.take('base', { tar: inPieces(tarOf({ file: '' })), config: rootfs }, patience())
  const [needed] = await images.layersOf('base', patience())
  await layers.flatten([needed!], 'nobodys', patience())
  await images.list(patience())
  now += 9 * 60_000
  await images.list(patience())
  expect(await layers.layers(patience())).toContain('nobodys')

  const later = join(dirname(root), 'images', `${'0'.repeat(64)}.json`)
  writeFileSync(later, '{"version":2}')
  const other = store({ clock: { now: () => now } })
  for (const step of [0, 20 * 60_000]) {
    now += step
    await other.list(patience())
  }
  expect(await layers.layers(patience())).toContain('nobodys')
  rmSync(later)
  await images.list(patience())
  expect(await layers.layers(patience())).toEqual([needed])
})

test('a removal that breaks off is gone on with, by the same server or by the next; until then there is no such image', async () => {
  const { store, layers, root } = server()
  const records = join(dirname(root), 'images')
  const images = store()
  const tar = (name: string) => ({ tar: inPieces(tarOf({ [name]: '' })), config: rootfs })
  for (const name of ['one', 'two', 'three']) await images.take(name, tar(name), patience())
  const [two = ''] = await images.layersOf('two', patience())
  for (const name of ['one', 'two', 'three'])
    await expect(images.remove(name, AbortSignal.abort(new Error('broken off')))).rejects.toThrow(
      'broken off',
    )
  for (const name of ['one', 'two', 'three']) expect(await images.inspect(name, patience())).toBeUndefined()

  await images.remove('one', patience())
  expect((await layers.layers(patience())).length).toBe(2)
  await layers.removeLayer(two, patience())
  // What a server has left that ended while it wrote.
  writeFileSync(join(records, '.draft-any'), '{')
  const next = store()
  expect(await next.inspect('two', patience())).toBeUndefined()
  expect(await next.inspect('three', patience())).toMatchObject({ layers: 1 })
  expect(readdirSync(records).length).toBe(1)
  await next.remove('three', patience())
  expect(await layers.layers(patience())).toEqual([])
  expect(readdirSync(records)).toEqual([])
})

test('an image that is made again while it is removed is there, with its layers', async () => {
  const { store, layers } = server()
  const images = store()
  const tar = tarOf({ file: '' })
  const take = () => images.take('again', { tar: inPieces(tar), config: rootfs }, patience())
  await take()
  const [layer] = await images.layersOf('again', patience())
  for (let round = 0; round < 5; round++) {
    await Promise.all([images.remove('again', patience()), take(), images.remove('none', patience())])
    // Whichever came last.
    const there = await images.inspect('again', patience())
    expect(await layers.layers(patience())).toEqual(there === undefined ? [] : [layer])
    if (there === undefined) await take()
  }
})

test('what the setup makes without an engine is read by this store and by engines alike', async () => {
  const image = `e2b-test/${newId()}:1`
  const file = join(folder, `${newId()}.tar`)
  const tar = tarOf({ file: 'x'.repeat(5000) })
  const about = { image, architecture: 'amd64', config: { Env: ['A=1'], Cmd: ['/bin/sh'] } }
  await writeImageArchive(file, inPieces(tar), about)
  const { store, file: fileOf } = server()
  const images = store()
  await images.take(image, { archive: createReadStream(file) }, patience())
  expect(await images.inspect(image, patience())).toMatchObject({ env: { A: '1' }, architecture: 'amd64' })
  const [layer = ''] = await images.layersOf(image, patience())
  expect(readFileSync(fileOf(layer, 'file'), 'utf8')).toBe('x'.repeat(5000))
  execFileSync('docker', ['load', '--input', file], { stdio: 'ignore' })
  const format = '{{json .RootFS.Layers}} {{json .Config.Env}} {{.Architecture}}'
  const said = execFileSync('docker', ['image', 'inspect', '--format', format, image], { encoding: 'utf8' })
  execFileSync('docker', ['rmi', image], { stdio: 'ignore' })
  expect(said.trim()).toBe(`["sha256:${layer}"] ["A=1"] amd64`)
})

test('an archive reaches nothing but its own layer, and what is none is refused', async () => {
  const { store, layers, file } = server()
  const images = store()
  const outside = join(folder, newId())
  mkdirSync(outside)
  // Through the link, a directory of the same path inside: the layer's own.
  const [link, through] = [tarOf({ way: [outside] }), tarOf({ 'way/file': 'text' })]
  const both = join(folder, `${newId()}.tar`)
  writeFileSync(both, link)
  writeFileSync(`${both}.2`, through)
  execFileSync('tar', ['-Af', both, `${both}.2`])
  const refused = images.take('hostile', { tar: createReadStream(both), config: rootfs }, patience())
  await refused.catch((error) => expect(error).toMatchObject({ code: 'invalid_argument' }))
  expect(readdirSync(outside)).toEqual([])
  for (const layer of await layers.layers(patience())) expect(existsSync(file(layer, 'way'))).toBe(true)

  const text = inPieces(Buffer.alloc(4096, 'no archive '))
  await expect(images.take('none', { tar: text, config: rootfs }, patience())).rejects.toMatchObject({
    code: 'invalid_argument',
  })
  const lies = archiveOf([tarOf({ a: '1' })], config)
  const other = archiveOf([tarOf({ a: '2' })], config)
  expect(lies.ids).not.toEqual(other.ids)
  await expect(images.take('none', { archive: text }, patience())).rejects.toMatchObject({
    code: 'invalid_argument',
  })
  expect(await images.inspect('none', patience())).toBeUndefined()
})

test('an image of the Docker engine is taken over when it is first needed, once for all servers', async () => {
  const image = `e2b-test/${newId()}:1`
  const tar = join(folder, `${newId()}.tar`)
  writeFileSync(tar, tarOf({ file: 'from the engine' }))
  execFileSync('docker', ['import', '--change', 'ENV A=1', tar, image], { stdio: 'ignore' })
  let opened = 0
  const open = async (signal: AbortSignal) => {
    opened++
    const archive = await engine.open(image, signal)
    return archive && { archive }
  }
  const [one, other] = [server({ image, open }), server({ image, open })]
  const images = one.store()
  const [info, [layer]] = await Promise.all([
    images.inspect(image, patience()),
    images.layersOf(image, patience()),
  ])
  execFileSync('docker', ['rmi', image], { stdio: 'ignore' })
  expect(info).toMatchObject({ env: { A: '1' }, layers: 1, isOwn: false })
  expect(readFileSync(one.file(layer!, 'file'), 'utf8')).toBe('from the engine')
  expect(await other.store().layersOf(image, patience())).toEqual([layer])
  expect(opened).toBe(1)
  expect(await engine.open(image, patience())).toBeUndefined()
  expect(await createEngineImages(join(folder, 'none')).open(image, patience())).toBeUndefined()
  expect(await images.named(image.slice(0, -2), patience())).toEqual([
    { image, createdAt: expect.any(Number) },
  ])
})

/** Imports an image into the engine that has this text in its one file; resolves with its id there. */
function importIntoEngine(image: string, text: string, ...changes: string[]): string {
  const tar = join(folder, `${newId()}.tar`)
  writeFileSync(tar, tarOf({ file: text }))
  const args = changes.flatMap((change) => ['--change', change])
  return execFileSync('docker', ['import', ...args, tar, image], { encoding: 'utf8' }).trim()
}

test('with an engine, its image of a name comes before that of a registry, as long and as it has it', async () => {
  const { store, layers, file } = server()
  const images = store({ engine, registries: { offline: true } })
  const image = `e2b-test/${newId()}`
  onTestFinished(() => void execFileSync('docker', ['rmi', '--force', image], { stdio: 'ignore' }))
  const textOf = async (name: string) => {
    const [layer] = await images.layersOf(name, patience())
    return readFileSync(file(layer!, 'file'), 'utf8')
  }
  // One of a registry, from before the engine had it.
  await images.take(image, { tar: inPieces(tarOf({ file: 'registry' })), config: rootfs }, patience())
  expect(await images.inspect(image, patience())).toBeDefined()

  importIntoEngine(image, 'first', 'ENV A=1', 'USER one')
  expect(await images.inspect(image, patience())).toBeUndefined()
  const first = await images.pull(image, {}, patience())
  expect(first).toMatchObject({ env: { A: '1' }, user: 'one', layers: 1, isOwn: false })
  expect(await textOf(image)).toBe('first')
  for (const same of [image, `${image}:latest`, first.id])
    expect(await images.inspect(same, patience())).toEqual(first)
  expect(await store({ engine }).inspect(image, patience())).toEqual(first)

  // The tag moves, as with another `docker build`.
  importIntoEngine(image, 'second')
  expect(await images.inspect(image, patience())).toBeUndefined()
  const second = await images.pull(image, {}, patience())
  expect(second.id).not.toBe(first.id)
  expect(await textOf(image)).toBe('second')
  expect(await images.inspect(image, patience())).toEqual(second)

  // Whom the operator hasn't let has none of it, nor has anybody what the engine has no more.
  const closed = store({ registries: { offline: true } })
  expect(await closed.inspect(image, patience())).toBeUndefined()
  const refused = { code: 'failed_precondition', message: expect.stringContaining('--offline') }
  await expect(closed.pull(image, {}, patience())).rejects.toMatchObject(refused)
  execFileSync('docker', ['rmi', image], { stdio: 'ignore' })
  expect(await images.inspect(image, patience())).toBeUndefined()
  await expect(images.pull(image, {}, patience())).rejects.toMatchObject(refused)
  await images.remove(image, patience())
  expect(await layers.layers(patience())).not.toContain(second.id)
})

test('an engine is asked for exact names of what is nobody else’s: no ids, no paths, no image that a server has made', async () => {
  const image = `e2b-test/${newId()}`
  const made = `e2b-test/${newId()}`
  onTestFinished(() => void execFileSync('docker', ['rmi', '--force', image, made], { stdio: 'ignore' }))
  const id = importIntoEngine(image, 'text')
  importIntoEngine(made, 'of a team', 'LABEL e2b-server.instance=any')
  expect(id).toMatch(/^sha256:[0-9a-f]{64}$/)
  const find = (name: string) => engine.find(name, patience())
  for (const name of [image, `${image}:latest`, `docker.io/${image}`, `index.docker.io/${image}:latest`])
    expect(await find(name), name).toBe(id)
  const others = [
    ...[id, id.slice(7), id.slice(7, 19), `${image}@${id}`, `${image}:other`, made, 'none'],
    ...[`${image}/../${image}`, `../${image}`, `${image}//x`, `${image}?x=y`, `./${image}`, ''],
  ]
  for (const name of others) expect(await find(name), name).toBeUndefined()
  expect(await createEngineImages(join(folder, 'none')).find(image, patience())).toBeUndefined()
})

test('an engine that is none, or whose archive is hostile, leaves nothing behind', async () => {
  const { store, layers, root } = server()
  const image = 'hostile:1'
  const id = `sha256:${'0'.repeat(64)}`
  let archive: Buffer = Buffer.alloc(0)
  let said: object = {}
  const socket = join(folder, `${newId().slice(0, 8)}.sock`)
  const listener = createServer(({ url = '' }, res) => {
    if (url === `/images/${id}/get`) res.end(archive)
    else if (url === `/images/${image}/json`) res.end(JSON.stringify(said))
    else res.writeHead(500).end()
  }).listen(socket)
  await once(listener, 'listening')
  onTestFinished(() => void listener.close())
  const hostile = createEngineImages(socket)
  await expect(hostile.find('another', patience())).rejects.toMatchObject({ code: 'unavailable' })
  await expect(hostile.find(image, patience())).rejects.toMatchObject({ code: 'unavailable' })
  said = { Id: id, RepoTags: [image], Config: { Labels: 'x'.repeat(5 << 20) } }
  await expect(hostile.find(image, patience())).rejects.toMatchObject({ code: 'unavailable' })
  said = { Id: id, RepoTags: [image] }

  const images = store({ engine: hostile })
  const packed = (layer: Buffer, manifest: object) =>
    tarOf({
      layer,
      config: JSON.stringify({ rootfs: { diff_ids: [`sha256:${'1'.repeat(64)}`] } }),
      'manifest.json': JSON.stringify([manifest]),
    })
  const [usual, layer] = [{ Config: 'config', Layers: ['layer'] }, tarOf({ file: 'text' })]
  const attempts: [Buffer, string][] = [
    [Buffer.alloc(4096, 'no archive '), 'invalid_argument'],
    [packed(layer, usual).subarray(0, 6000), 'invalid_argument'],
    [packed(layer, usual), 'invalid_argument'],
    [packed(layer, { Config: '../../etc/passwd', Layers: ['layer'] }), 'invalid_argument'],
    [packed(Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, 0, 0, 0]), usual), 'failed_precondition'],
  ]
  for (const [bytes, code] of attempts) {
    archive = bytes
    await expect(images.pull(image, {}, patience())).rejects.toMatchObject({ code })
  }
  expect(readdirSync(join(root, 'spool'))).toEqual([])
  expect(await layers.layers(patience())).toEqual([])
  expect(await store().inspect(image, patience())).toBeUndefined()
})

async function* inPieces(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000)
}
