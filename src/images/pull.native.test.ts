/** Images that the server pulls itself. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, onTestFinished, test } from 'vitest'
import { login } from '../../tests/support/registry.ts'
import { newId } from '../lib/ids.ts'
import { patientSignal } from '../lib/patience.ts'
import { testRegistries } from './registry.suite.ts'
import { imageServer } from './store.fixture.ts'

const folder = await mkdtemp(join(tmpdir(), 'e2b-pull-'))
const one = imageServer(folder)
afterAll(async () => {
  await one.close()
  await rm(folder, { recursive: true })
})

testRegistries(({ registries } = { registries: {} }) => {
  const images = one.store({ registries })
  return { images, close: () => images.close() }
})

const digestOf = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`
const patience = () => patientSignal(30_000)
const allow = ['127.0.0.0/8', '192.0.2.0/24']
const credentials = { type: 'registry', ...login } as const

async function listen(answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Says that it has an image of that layer, and gives away what is in `blobs`; `asked` is told of each request. */
async function registryOf(layer: Buffer, blobs: Buffer[], asked: string[] = []): Promise<string> {
  const config = Buffer.from(JSON.stringify({ os: 'linux', rootfs: { diff_ids: [digestOf(layer)] } }))
  const part = (bytes: Buffer) => ({ mediaType: 'x', digest: digestOf(bytes), size: bytes.length })
  const manifest = Buffer.from(JSON.stringify({ config: part(config), layers: [part(layer)] }))
  const all = new Map([config, ...blobs].map((bytes) => [`/v2/x/blobs/${digestOf(bytes)}`, bytes]))
  return listen(({ method, url = '' }, res) => {
    asked.push(`${method} ${url.split('/').at(-2)}`)
    const found = url.startsWith('/v2/x/manifests/') ? manifest : all.get(url)
    // It lies about what it has.
    if (method === 'HEAD') res.end()
    else res.writeHead(found === undefined ? 404 : 200).end(found)
  })
}

test('a layer that is here comes from the registry that has shown it, and from no other that only says its hash', async () => {
  const images = one.store({ registries: { allow } })
  const layer = tarOf(newId())
  const asked: string[] = []
  const owner = await registryOf(layer, [layer], asked)
  const info = await images.pull(`${owner}/x:1`, {}, patience())
  const fetched = asked.length

  const told: string[] = []
  const onProgress = ({ status }: { status: string }) => void told.push(status)
  expect(await images.pull(`${owner}/x:2`, { onProgress }, patience())).toEqual(info)
  expect(told).toEqual(['Already exists'])
  expect(asked.slice(fetched)).toEqual(['GET manifests', 'GET blobs', 'HEAD blobs'])

  const stranger = await registryOf(layer, [])
  await expect(images.pull(`${stranger}/x:1`, {}, patience())).rejects.toMatchObject({ code: 'not_found' })
  expect(await images.inspect(`${stranger}/x:1`, patience())).toBeUndefined()
  // Who has the bytes gets the layer that is here.
  const other = await registryOf(layer, [layer])
  const same = await images.pull(`${other}/x:1`, {}, patience())
  expect(same.id).toBe(info.id)
  for (const image of [`${owner}/x:1`, `${owner}/x:2`, `${other}/x:1`]) await images.remove(image, patience())
  expect(await one.layers.layers(patience())).not.toContain(digestOf(layer).slice('sha256:'.length))
})

test('a password goes nowhere without encryption but to this machine', async () => {
  const images = one.store({ registries: { allow } })
  let realm = 'http://192.0.2.1:5000/token'
  const host = await listen(({ headers, url }, res) => {
    if (url?.startsWith('/token')) res.end(JSON.stringify({ token: headers.authorization }))
    else res.writeHead(401, { 'www-authenticate': `Bearer realm="${realm}"` }).end()
  })
  await expect(images.pull(`${host}/x:1`, { credentials }, patience())).rejects.toMatchObject({
    code: 'failed_precondition',
    message: expect.stringContaining('192.0.2.1:5000 without encryption'),
  })
  realm = `http://${host}/token`
  await expect(images.pull(`${host}/x:1`, { credentials }, patience())).rejects.toMatchObject({
    code: 'unauthenticated',
  })
})

/** An archive with one file. */
function tarOf(text: string): Buffer {
  const bytes = Buffer.alloc(2048)
  bytes.write('file', 0)
  bytes.write('0000644\0', 100)
  bytes.write('0000000\0', 108)
  bytes.write('0000000\0', 116)
  bytes.write(`${text.length.toString(8).padStart(11, '0')}\0`, 124)
  bytes.write('00000000000\0', 136)
  bytes.write('        0', 148)
  bytes.write('ustar\x0000', 257)
  const sum = bytes.subarray(0, 512).reduce((total, byte) => total + byte, 0)
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  bytes.write(text, 512)
  return bytes
}
