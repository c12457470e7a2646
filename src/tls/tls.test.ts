import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, createServer } from 'node:tls'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { testCertificate } from '../../tests/support/certificate.ts'
import type { Credentials } from '../domain/credentials.ts'
import { type Log, silentLog } from '../lib/log.ts'
import { openLocalCa } from './local-ca.ts'
import { localCredentials } from './local-credentials.ts'
import { userCredentials } from './user-credentials.ts'

const dayMs = 86_400_000
const domain = 'e2b.local'

let folder: string
let stopping: AbortController
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'e2b-tls-'))
  stopping = new AbortController()
})
afterEach(() => {
  stopping.abort()
  rmSync(folder, { recursive: true })
})

/** What a client that trusts `ca` says of a server with these credentials; undefined: it is content. */
async function verdict(
  credentials: Credentials,
  ca: string,
  servername: string,
): Promise<string | undefined> {
  const server = createServer(credentials)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as { port: number }
  const socket = connect({ port, host: '127.0.0.1', ca, servername })
  try {
    await once(socket, 'secureConnect')
    return undefined
  } catch (error) {
    return (error as Error).message
  } finally {
    socket.destroy()
    server.close()
  }
}

describe('a local authority', () => {
  test('is made once, for its domain only, with a key that nobody else reads', async () => {
    const first = await openLocalCa(join(folder, 'ca'), domain)
    const cert = readFileSync(first.file, 'utf8')
    expect(statSync(join(folder, 'ca')).mode & 0o777).toBe(0o700)
    expect(statSync(join(folder, 'ca', 'ca-key.pem')).mode & 0o777).toBe(0o600)
    const again = await openLocalCa(join(folder, 'ca'), domain)
    expect(readFileSync(again.file, 'utf8')).toBe(cert)
    expect(readFileSync(again.bundleFile, 'utf8')).toContain(cert)

    const credentials = await again.issue(Date.now())
    for (const name of [domain, `api.${domain}`, `3000-iabc.${domain}`]) {
      expect(await verdict(credentials, cert, name)).toBeUndefined()
    }
    expect(await verdict(credentials, cert, 'example.com')).toMatch(/altnames/)
  })

  test('that is trusted can’t speak for other domains', async () => {
    const { file } = await openLocalCa(folder, domain)
    const cert = readFileSync(file, 'utf8')
    const key = readFileSync(join(folder, 'ca-key.pem'), 'utf8')
    const other = join(folder, 'other')
    mkdirSync(other)
    writeFileSync(join(other, 'ca.pem'), cert)
    writeFileSync(join(other, 'ca-key.pem'), key)
    const stolen = await (await openLocalCa(other, 'example.com')).issue(Date.now())
    expect(await verdict(stolen, cert, 'api.example.com')).toBe('permitted subtree violation')
  })

  test('with broken files is refused with what to do', async () => {
    await openLocalCa(folder, domain)
    writeFileSync(join(folder, 'ca-key.pem'), 'no key')
    await expect(openLocalCa(folder, domain)).rejects.toMatchObject({
      code: 'failed_precondition',
      message: expect.stringContaining(`Remove ${folder}`),
    })
  })

  test('renews its certificate a month before it expires', async () => {
    let nowMs = Date.now()
    const source = await localCredentials({
      folder,
      domain,
      log: silentLog,
      now: () => nowMs,
      checkIntervalMs: 5,
    })
    const renewed: Credentials[] = []
    const watching = source.watch((credentials) => renewed.push(credentials), stopping.signal)
    const end = Date.parse(new X509Certificate(source.first.cert).validTo)
    nowMs = end - 31 * dayMs
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(renewed).toEqual([])
    nowMs = end - 29 * dayMs
    await expect.poll(() => renewed.length).toBe(1)
    expect(Date.parse(new X509Certificate(renewed[0]!.cert).validTo)).toBeGreaterThan(end + 50 * dayMs)
    stopping.abort()
    await watching
  })
})

describe('the user’s certificate', () => {
  const certFile = () => join(folder, 'tls.crt')
  const keyFile = () => join(folder, 'tls.key')
  const write = ({ cert, key }: Partial<Credentials>) => {
    if (cert !== undefined) writeFileSync(certFile(), cert)
    if (key !== undefined) writeFileSync(keyFile(), key)
  }
  const open = (log: Log = silentLog) =>
    userCredentials({ certFile: certFile(), keyFile: keyFile(), domain, log, pollIntervalMs: 5 })

  test('is taken as it is', async () => {
    const credentials = await testCertificate(domain)
    write(credentials)
    expect(await open()).toMatchObject({ first: credentials, authority: undefined })
  })

  test.each<[string, () => Promise<void>, RegExp]>([
    ['expired', async () => write(await testCertificate(domain, Date.now() - 91 * dayMs)), /has expired/],
    [
      'of tomorrow',
      async () => write(await testCertificate(domain, Date.now() + 3 * dayMs)),
      /not valid yet/,
    ],
    ['of another domain', async () => write(await testCertificate('example.com')), /not for api\.e2b\.local/],
    [
      'with the key of another',
      async () => {
        write(await testCertificate(domain))
        write({ key: (await testCertificate(domain)).key })
      },
      /key is not the certificate’s/,
    ],
    [
      'without a key',
      async () => write({ cert: (await testCertificate(domain)).cert }),
      /tls\.key can't be read/,
    ],
    ['that is none', async () => write({ cert: 'x', key: 'x' }), /not one in PEM/],
    [
      'with a key that is none',
      async () => write({ ...(await testCertificate(domain)), key: 'x' }),
      /key is not one/,
    ],
    [
      'with a chain that can’t be read',
      async () => {
        const { cert, key } = await testCertificate(domain)
        write({ cert: `${cert}\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`, key })
      },
      /certificates after the first can’t be read/,
    ],
  ])('%s is refused', async (_what, prepare, message) => {
    await prepare()
    await expect(open()).rejects.toMatchObject({
      code: 'failed_precondition',
      message: expect.stringMatching(message),
    })
  })

  test('is spoken of once before it ends', async () => {
    write(await testCertificate(domain, Date.now() - 80 * dayMs))
    const warnings: unknown[] = []
    const log = { ...silentLog, warn: (...args: unknown[]) => warnings.push(args) } as unknown as Log
    const watching = (await open(log)).watch(() => {}, stopping.signal)
    await expect
      .poll(() => warnings)
      .toEqual([[expect.objectContaining({ daysLeft: 9 }), expect.any(String)]])
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(warnings).toHaveLength(1)
    stopping.abort()
    await watching
  })

  test('is read again when it has changed, behind a symbolic link too; what doesn’t do is left alone', async () => {
    const versions = join(folder, 'versions')
    const put = async (name: string, credentials: Credentials) => {
      mkdirSync(join(versions, name), { recursive: true })
      writeFileSync(join(versions, name, 'tls.crt'), credentials.cert)
      writeFileSync(join(versions, name, 'tls.key'), credentials.key)
      symlinkSync(join(versions, name), join(folder, 'new'))
      renameSync(join(folder, 'new'), join(folder, 'current'))
    }
    const [first, second, third] = await Promise.all([1, 2, 3].map(() => testCertificate(domain)))
    await put('1', first!)
    symlinkSync('current/tls.crt', certFile())
    symlinkSync('current/tls.key', keyFile())
    const errors: unknown[] = []
    const log = { ...silentLog, error: (...args: unknown[]) => errors.push(args) } as unknown as Log
    const source = await open(log)
    const seen: Credentials[] = []
    const watching = source.watch((credentials) => seen.push(credentials), stopping.signal)
    await put('2', second!)
    await expect.poll(() => seen).toEqual([second])
    await put('3', { cert: second!.cert, key: third!.key })
    await expect.poll(() => errors.length).toBe(1)
    await put('4', await testCertificate(domain, Date.now() - 100 * dayMs))
    await expect.poll(() => errors.length).toBe(2)
    await put('5', third!)
    await expect.poll(() => seen).toEqual([second, third])
    expect(errors.length).toBe(2)
    stopping.abort()
    await watching
  })
})
