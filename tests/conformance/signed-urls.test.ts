/** Signed file URLs where the SDKs know no sandbox's name: `E2B_SANDBOX_URL` is the server itself (e2b-wire 1.7). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sign } from '../../src/auth/signature.ts'
import { type Sandbox, sdks } from '../support/sdks.ts'
import { joinSharedServer, type SharedServer } from '../support/shared-server.ts'
import { proves } from './compat/proves.ts'

let server: SharedServer
beforeAll(async () => {
  server = await joinSharedServer()
})
afterAll(() => server[Symbol.asyncDispose]())

describe.each(sdks)('e2b $version', ({ sdk }) => {
  let sandbox: Sandbox
  let other: Sandbox
  beforeAll(async () => {
    const create = () => sdk.Sandbox.create({ timeoutMs: 600_000, secure: true })
    ;[sandbox, other] = await Promise.all([create(), create()])
  })
  afterAll(() => sandbox.kill())

  async function upload(url: string, name: string, text: string): Promise<{ path: string }[]> {
    const form = new FormData()
    form.append('file', new Blob([text]), name)
    const answer = await fetch(url, { method: 'POST', body: form })
    expect(answer.status).toBe(200)
    return (await answer.json()) as { path: string }[]
  }

  async function refusal(url: string): Promise<unknown> {
    const answer = await fetch(url)
    expect(answer.status).toBe(401)
    return await answer.json()
  }

  test(
    'a file goes up and down without the token',
    proves('sandbox.uploadUrl', 'sandbox.downloadUrl'),
    async () => {
      const url = await sandbox.uploadUrl('folder/signed file.txt')
      expect(url.startsWith(`${server.url}/files?`)).toBe(true)
      expect(url).not.toContain(sandbox.sandboxId)
      expect(await upload(url, 'signed file.txt', 'signed')).toMatchObject([
        { path: '/home/user/folder/signed file.txt' },
      ])
      expect(await sandbox.files.read('folder/signed file.txt')).toBe('signed')
      expect(await other.files.exists('folder/signed file.txt')).toBe(false)
      const answer = await fetch(await sandbox.downloadUrl('folder/signed file.txt'))
      expect(await answer.text()).toBe('signed')
    },
  )

  test('the upload may name the file, and the signature the user', async () => {
    expect(await upload(await sandbox.uploadUrl(), 'named.txt', 'x')).toMatchObject([
      { path: '/home/user/named.txt' },
    ])
    expect(await upload(await sandbox.uploadUrl('r.txt', { user: 'root' }), 'r.txt', 'x')).toMatchObject([
      { path: '/root/r.txt' },
    ])
  })

  test('each sandbox is found by its own signatures', async () => {
    for (const [each, text] of [
      [sandbox, 'mine'],
      [other, 'theirs'],
    ] as const) {
      await upload(await each.uploadUrl('who.txt'), 'who.txt', text)
    }
    expect(await (await fetch(await sandbox.downloadUrl('who.txt'))).text()).toBe('mine')
    expect(await (await fetch(await other.downloadUrl('who.txt'))).text()).toBe('theirs')
  })

  test('what a browser would run is disarmed, as it comes from the name of the API', async () => {
    await sandbox.files.write('page.html', '<script>alert(1)</script>')
    const { headers } = await fetch(await sandbox.downloadUrl('page.html'))
    expect(Object.fromEntries(headers)).toMatchObject({
      'content-security-policy': 'sandbox',
      'content-disposition': 'attachment; filename=page.html',
      'x-content-type-options': 'nosniff',
    })
  })

  test('signatures expire', async () => {
    await sandbox.files.write('soon.txt', 'soon')
    const valid = await sandbox.downloadUrl('soon.txt', { useSignatureExpiration: 60 })
    expect(await (await fetch(valid)).text()).toBe('soon')
    const expired = await sandbox.downloadUrl('soon.txt', { useSignatureExpiration: -60 })
    expect(await refusal(expired)).toEqual({ code: 401, message: 'signature is already expired' })
  })

  test('signatures are for what they were made for', async () => {
    const invalid = { code: 401, message: 'invalid signature' }
    const url = await sandbox.downloadUrl('soon.txt', { useSignatureExpiration: 60 })
    expect(await refusal(url.replace('soon.txt', 'later.txt'))).toEqual(invalid)
    expect(await refusal(url.replace(/signature_expiration=\d+/, 'signature_expiration=9999999999'))).toEqual(
      invalid,
    )
    expect(await refusal(await sandbox.uploadUrl('soon.txt'))).toEqual(invalid)
    const unsigned = url.replace(/&?signature=[^&]*/, '')
    expect((await fetch(unsigned)).status).toBe(404)
  })

  test('a page of another site may use them', async () => {
    const url = await sandbox.uploadUrl('page.txt')
    const headers = { origin: 'https://example.com', 'access-control-request-method': 'POST' }
    const answer = await fetch(url, { method: 'OPTIONS', headers })
    expect(answer.status).toBe(204)
    expect(answer.headers.get('access-control-allow-origin')).toBe('*')
  })

  test('base addresses may end in a slash', async () => {
    const address = { apiUrl: `${server.url}/`, sandboxUrl: `${server.url}/` }
    const made = await sdk.Sandbox.create({ ...address, timeoutMs: 60_000, secure: true })
    await made.files.write('slash.txt', 'one too many')
    expect((await made.commands.run('cat slash.txt')).stdout).toBe('one too many')
    expect(await (await fetch(await made.downloadUrl('slash.txt'))).text()).toBe('one too many')
    const reached = await sdk.Sandbox.connect(made.sandboxId, address)
    expect(await reached.files.read('slash.txt')).toBe('one too many')
    await made.kill()
  })

  test('a sandbox that is gone is not found by them', async () => {
    const url = await other.downloadUrl('who.txt')
    await other.kill()
    expect(await refusal(url)).toEqual({ code: 401, message: 'invalid signature' })
  })
})

test('a sandbox without a token is not found by them', async () => {
  // The newest release's sandboxes all have one.
  const open = await sdks.at(-1)!.sdk.Sandbox.create({ timeoutMs: 60_000, secure: false })
  const url = await open.downloadUrl('x.txt')
  expect(url).not.toContain('signature')
  expect((await fetch(url)).status).toBe(404)
  const guessed = await fetch(
    `${url}&signature=${sign({ path: 'x.txt', operation: 'read', username: '' }, '')}`,
  )
  expect(guessed.status).toBe(401)
  await open.kill()
})
