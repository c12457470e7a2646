/** Images from registries on loopback: Debian's own, one with a password, one without. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { RegistryCredentials } from '../../domain/images.ts'
import { sleep } from '../../lib/deadline.ts'
import { newId } from '../../lib/ids.ts'
import { docker, patience, server } from './runtime.fixture.ts'

const execute = promisify(execFile)
/** The setup has put it there */
const program = fileURLToPath(new URL('../../../build/docker-registry', import.meta.url))
const login = { username: 'reader', password: 'let me in' }
const serviceAccountJson = '{"type":"service_account","private_key":"k"}'
/** bcrypt, as the registry wants it, of these two passwords */
const users = `reader:$2y$05$9z1fWg8sgV.pMlRch1XS3u2pvc9OOKkdt.2n9nUiDgZbzxXGBAdrq
_json_key:$2y$05$utjIl2A9hsbdJSYGENorBehEmrUlC2gQpXrhoUCvdaxkZBXdGy1oi
`

let folder: string
let closed: { host: string; child: ChildProcess }
let open: { host: string; child: ChildProcess }
const id = newId()
const pulled = new Set<string>()
const one = await server()
const allow = ['127.0.0.0/8']
const runtime = one.create({ registries: { allow } })

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'e2b-registry-'))
  await writeFile(join(folder, 'users'), users)
  await writeFile(join(folder, 'file'), 'text')
  closed = await startRegistry(
    'closed',
    `auth: { htpasswd: { realm: test, path: ${join(folder, 'users')} } }`,
  )
  open = await startRegistry('open', '')
  const tar = join(folder, 'image.tar')
  await execute('tar', ['-C', folder, '-cf', tar, 'file'])
  for (const name of [`${closed.host}/team/tiny`, `${open.host}/hub/library/tiny-${id}`]) {
    await execute('docker', ['import', '--change', 'ENV A=1', '--change', 'WORKDIR /w', tar, `${name}:1`])
    const pushed = await docker
      .getImage(`${name}:1`)
      .push({ authconfig: { ...login, serveraddress: closed.host } })
    expect(await text(pushed)).toContain('digest')
    await docker.getImage(`${name}:1`).remove()
  }
})
afterAll(async () => {
  for (const image of pulled) await runtime.images.remove(image, patience())
  for (const { child } of [closed, open]) {
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  await runtime.close()
  await one.dispose()
  await rm(folder, { recursive: true })
})

async function startRegistry(name: string, more: string) {
  const holder = createTcpServer().listen(0, '127.0.0.1')
  await once(holder, 'listening')
  const { port } = holder.address() as AddressInfo
  await new Promise((resolve) => holder.close(resolve))
  const config = join(folder, `${name}.yml`)
  await writeFile(
    config,
    `version: 0.1
storage: { filesystem: { rootdirectory: ${join(folder, name)} } }
http: { addr: "127.0.0.1:${port}" }
${more}
`,
  )
  const child = spawn(program, ['serve', config], { stdio: 'ignore' })
  const host = `127.0.0.1:${port}`
  // Bounded by the hook's own time.
  while (!(await fetch(`http://${host}/v2/`).catch(() => undefined))) await sleep(20)
  return { host, child }
}

const pull = (image: string, credentials?: RegistryCredentials, by = runtime) => {
  pulled.add(image)
  return by.images.pull(image, credentials === undefined ? {} : { credentials }, patience())
}

test('a registry with a password gives images to who has it, and says what is wrong to others', async () => {
  const image = `${closed.host}/team/tiny:1`
  const none = pull(image)
  await expect(none).rejects.toMatchObject({
    code: 'unauthenticated',
    message: `The registry ${closed.host} gives ${image} to nobody without credentials. Name a user and a password for it.`,
  })
  const wrong = await pull(image, { type: 'registry', ...login, password: 'not this one' }).catch(
    (error) => error,
  )
  expect(wrong).toMatchObject({
    code: 'unauthenticated',
    message: expect.stringContaining(`The registry ${closed.host} refuses the credentials`),
  })
  expect(`${wrong.message}${wrong.cause}${JSON.stringify(wrong.cause)}`).not.toContain('not this one')
  expect(await runtime.images.inspect(image, patience())).toBeUndefined()

  const info = await pull(image, { type: 'registry', ...login })
  expect(info).toMatchObject({ env: { A: '1' }, workdir: '/w', user: '', layers: 1, os: 'linux' })
  expect(await runtime.images.inspect(image, patience())).toEqual(info)
  await expect(pull(`${closed.host}/team/none:1`, { type: 'registry', ...login })).rejects.toMatchObject({
    code: 'not_found',
  })
  await expect(pull('127.0.0.1:1/none:1')).rejects.toMatchObject({ code: 'unavailable' })
})

test("Google's key goes as a password, and what is none is refused", async () => {
  const image = `${closed.host}/team/tiny:1`
  expect(await pull(image, { type: 'gcp', serviceAccountJson })).toMatchObject({ env: { A: '1' } })
  for (const text of ['', '{}', '[1', '{"type":"user","private_key":"k"}']) {
    await expect(pull(image, { type: 'gcp', serviceAccountJson: text })).rejects.toMatchObject({
      code: 'invalid_argument',
    })
  }
})

test('AWS gives a password to a signed request', async () => {
  const asked: IncomingMessage[] = []
  const answer = { authorizationData: [{ authorizationToken: btoa(`${login.username}:${login.password}`) }] }
  const aws = createServer((req, res) => {
    asked.push(req)
    const isKnown = req.headers.authorization?.includes('Credential=AKIDEXAMPLE/')
    res
      .writeHead(isKnown ? 200 : 400)
      .end(isKnown ? JSON.stringify(answer) : '{"__type":"UnrecognizedClient"}')
  }).listen(0, '127.0.0.1')
  await once(aws, 'listening')
  const endpoint = `http://127.0.0.1:${(aws.address() as AddressInfo).port}/`
  const by = one.create({ registries: { allow, ecrEndpoint: () => endpoint } })
  const image = `${closed.host}/team/tiny:1`
  const keys = {
    type: 'aws',
    accessKeyId: 'AKIDEXAMPLE',
    secretAccessKey: 'secret',
    region: 'eu-central-1',
  } as const
  expect(await pull(image, keys, by)).toMatchObject({ env: { A: '1' } })
  expect(asked[0]?.headers['x-amz-target']).toBe('AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken')
  expect(asked[0]?.headers.authorization).toMatch(
    /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/eu-central-1\/ecr\/aws4_request, SignedHeaders=.*, Signature=[0-9a-f]{64}$/,
  )
  await expect(pull(image, { ...keys, accessKeyId: 'OTHER' }, by)).rejects.toMatchObject({
    code: 'unauthenticated',
    message: expect.stringMatching(/^AWS refuses the credentials/),
  })
  await expect(pull(image, { ...keys, region: 'x.example.org/' }, by)).rejects.toMatchObject({
    code: 'invalid_argument',
  })
  aws.close()
  await by.close()
})

test('registries of private networks are asked only where the operator says so, the mirror always', async () => {
  const closedTo = one.create()
  for (const host of [
    open.host,
    open.host.replace('127.0.0.1', 'localhost'),
    '10.0.0.1:5000',
    '169.254.169.254',
  ]) {
    await expect(pull(`${host}/hub/library/tiny-${id}:1`, undefined, closedTo)).rejects.toMatchObject({
      code: 'forbidden',
      message: expect.stringContaining('--registry-allow'),
    })
  }
  await closedTo.close()
})

test('a registry does not lead the engine into a private network, by its tokens or by redirects', async () => {
  const inner: string[] = []
  const secret = createServer((req, res) => {
    inner.push(req.url ?? '')
    res.end('{"token":"inner"}')
  }).listen(0, '127.0.0.2')
  const sentTo = () => `http://127.0.0.2:${(secret.address() as AddressInfo).port}`
  const registry = createServer((req, res) => {
    const isRedirected = req.headers.host === redirecting
    if (isRedirected) return res.writeHead(307, { location: `${sentTo()}/redirected` }).end()
    const challenge = ['Basic realm="a text"', `Bearer service=x, realm="${sentTo()}/token"`]
    return res.writeHead(401, { 'www-authenticate': challenge }).end()
  }).listen(0, '127.0.0.1')
  await Promise.all([once(secret, 'listening'), once(registry, 'listening')])
  const { port } = registry.address() as AddressInfo
  const redirecting = `localhost:${port}`
  const narrow = one.create({ registries: { allow: ['127.0.0.1/32', '::1/128'] } })
  for (const [host, what] of [
    [`127.0.0.1:${port}`, `has its tokens fetched, ${new URL(sentTo()).host}, is in a private network`],
    [redirecting, 'redirects to is in a private network'],
  ] as const) {
    await expect(pull(`${host}/x:1`, undefined, narrow)).rejects.toMatchObject({
      code: 'forbidden',
      message: expect.stringContaining(what),
    })
  }
  expect(inner).toEqual([])
  // Where the operator has opened it too, the engine goes there.
  await expect(pull(`127.0.0.1:${port}/x:1`)).rejects.toMatchObject({ code: 'unauthenticated' })
  expect(inner.length).toBeGreaterThan(0)
  await narrow.close()
  for (const each of [secret, registry]) each.close()
})

test("a mirror is asked in Docker Hub's place, and nobody where the server is offline", async () => {
  const mirrored = one.create({ registries: { mirror: `${open.host}/hub` } })
  const image = `tiny-${id}:1`
  expect(await pull(image, undefined, mirrored)).toMatchObject({ env: { A: '1' } })
  expect(await runtime.images.inspect(image, patience())).toBeDefined()
  expect(await runtime.images.inspect(`${open.host}/hub/library/${image}`, patience())).toBeUndefined()
  await mirrored.close()
  const offline = one.create({ registries: { offline: true } })
  await expect(pull(`${open.host}/hub/library/${image}`, undefined, offline)).rejects.toMatchObject({
    code: 'failed_precondition',
    message: expect.stringContaining('--offline'),
  })
  await offline.close()
})
