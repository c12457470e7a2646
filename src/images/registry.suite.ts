/** Images from registries on loopback: Debian's own, one with a password, one without. Run for everything that pulls. */
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { login, type Registry, serviceAccountJson, startRegistry } from '../../tests/support/registry.ts'
import type { Images, RegistryCredentials } from '../domain/images.ts'
import { newId } from '../lib/ids.ts'
import type { RegistryChoice } from './registry-choice.ts'

/** Longest time that anything in here may take, in milliseconds */
const patienceMs = 30_000
const patience = () => AbortSignal.timeout(patienceMs)

export interface Puller {
  images: Images
  close(): Promise<void>
}

/** `create`: each with the same images. */
export function testRegistries(create: (options?: { registries: Partial<RegistryChoice> }) => Puller): void {
  let closed: Registry
  let open: Registry
  const id = newId()
  const pulled = new Set<string>()
  const allow = ['127.0.0.0/8']
  const runtime = create({ registries: { allow } })

  beforeAll(async () => {
    ;[closed, open] = [await startRegistry({ isClosed: true }), await startRegistry({ isClosed: false })]
    const image = { config: { Env: ['A=1'], WorkingDir: '/w' } }
    await closed.push('team/tiny:1', image)
    await open.push(`hub/library/tiny-${id}:1`, image)
  })
  afterAll(async () => {
    for (const image of pulled) await runtime.images.remove(image, patience())
    for (const each of [closed, open]) await each[Symbol.asyncDispose]()
    await runtime.close()
  })

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
    const answer = {
      authorizationData: [{ authorizationToken: btoa(`${login.username}:${login.password}`) }],
    }
    const aws = createServer((req, res) => {
      asked.push(req)
      const isKnown = req.headers.authorization?.includes('Credential=AKIDEXAMPLE/')
      res
        .writeHead(isKnown ? 200 : 400)
        .end(isKnown ? JSON.stringify(answer) : '{"__type":"UnrecognizedClient"}')
    }).listen(0, '127.0.0.1')
    await once(aws, 'listening')
    const endpoint = `http://127.0.0.1:${(aws.address() as AddressInfo).port}/`
    const by = create({ registries: { allow, ecrEndpoint: () => endpoint } })
    const image = `${closed.host}/team/tiny:1`
    const keys = {
      type: 'aws',
      accessKeyId: 'AKIDEXAMPLE',
      secretAccessKey: 'secret',
      region: 'eu-central-1',
    } as const
    expect(await pull(image, keys, by)).toMatchObject({ env: { A: '1' } })
    expect(asked[0]?.headers['x-amz-target']).toBe(
      'AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken',
    )
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
    const closedTo = create()
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
    const narrow = create({ registries: { allow: ['127.0.0.1/32', '::1/128'] } })
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
    const mirrored = create({ registries: { mirror: `${open.host}/hub` } })
    const image = `tiny-${id}:1`
    expect(await pull(image, undefined, mirrored)).toMatchObject({ env: { A: '1' } })
    expect(await runtime.images.inspect(image, patience())).toBeDefined()
    expect(await runtime.images.inspect(`${open.host}/hub/library/${image}`, patience())).toBeUndefined()
    await mirrored.close()
    const offline = create({ registries: { offline: true } })
    await expect(pull(`${open.host}/hub/library/${image}`, undefined, offline)).rejects.toMatchObject({
      code: 'failed_precondition',
      message: expect.stringContaining('--offline'),
    })
    await offline.close()
  })
}
