/** Images made here: Debian without anything, the same without a package manager, one file, and the stock template. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { baseImageName, buildBaseImage } from '../../images/base/build.mjs'
import type { Runtime } from '../domain/runtime.ts'
import { stat } from '../guest/stat.ts'
import { docker, patience, server } from '../runtimes/docker/runtime.fixture.ts'
import { guestOf, guestSpec, newImage, run } from '../runtimes/runtime.suite.ts'
import { createProvision } from './provision.ts'
import { createAuthorities } from './trust-authorities.ts'
import { authoritiesFile } from './trust-script.ts'

const execute = promisify(execFile)
/** Kept from one run to the next, as it takes half a minute to make */
const debian = 'e2b-server/test-debian:bookworm-minbase'
const installMs = 10 * 60_000

let one: Awaited<ReturnType<typeof server>>
let runtime: Runtime
const made: string[] = []

beforeAll(async () => {
  await buildBaseImage({ log: () => {} })
  one = await server()
  runtime = one.create()
  if ((await runtime.images.inspect(debian, patience())) !== undefined) return
  const folder = await mkdtemp(join(tmpdir(), 'e2b-debian-'))
  const tar = join(folder, 'root.tar')
  await execute('mmdebstrap', ['--variant=minbase', '--quiet', 'bookworm', tar])
  await execute('docker', ['import', tar, debian])
  await rm(folder, { recursive: true })
}, 15 * 60_000)
afterAll(async () => {
  await one?.dispose()
  for (const image of made) await docker.getImage(image).remove()
})

/** An image with nothing but what a tar of this directory has. */
async function imageOf(name: string, folder: string): Promise<string> {
  const image = `e2b-server/test-${name}:${one.instanceId}`
  const tar = join(folder, '..', `${one.instanceId}-${name}.tar`)
  await execute('tar', ['-C', folder, '-cf', tar, '.'])
  await execute('docker', ['import', tar, image])
  await rm(tar)
  made.push(image)
  return image
}

async function provision(image: string, pem?: string) {
  const handle = await runtime.start(guestSpec(image, { memoryMb: 512 }), patience())
  const guest = guestOf(runtime, handle)
  const lines: string[] = []
  const look = () =>
    createProvision({ authorities: pem === undefined ? undefined : createAuthorities(pem) }).run(guest, {
      signal: AbortSignal.timeout(installMs),
      onLine: (_, line) => void lines.push(line),
    })
  return { handle, guest, lines, look, end: () => runtime.destroy(handle, patience()) }
}

test('the stock template has everything, and nothing is installed', async () => {
  const { guest, lines, look, end } = await provision(await baseImageName())
  await look()
  expect(lines).toEqual([])
  expect((await stat(guest, { path: '/code' }, patience())).mode).toBe(0o777)
  await end()
})

test(
  'Debian gets bash, sudo, certificates and programs from its packages, once',
  async () => {
    const { guest, lines, look, end } = await provision(debian)
    await look()
    expect(lines.join('\n')).toMatch(/^Installing with apt-get: .*sudo.*ca-certificates/)
    const script =
      'id -un; sudo id -un; pwd; stat -c %a /code /usr/local; echo $HOME; curl --version | head -c 4; ss -h | head -c 6'
    const said = await run(guest, `su -l user -c '${script}'`)
    expect(said.stdout).toBe('user\nroot\n/home/user\n777\n777\n/home/user\ncurlUsage:')
    const before = lines.length
    await look()
    expect(lines).toHaveLength(before)
    await end()
  },
  installMs,
)

test('authorities of the operator are trusted in the way of each distribution, and once', async () => {
  const [first = '', second = ''] = rootCertificates
  const pem = `${first}\n${second}\n`
  const bundle = '/etc/ssl/certs/ca-certificates.crt'
  const { guest, look, end } = await provision(await baseImageName(), pem)
  const say = async (script: string) => (await run(guest, script)).stdout.trim()
  const variables = {
    NODE_EXTRA_CA_CERTS: authoritiesFile,
    SSL_CERT_FILE: bundle,
    REQUESTS_CA_BUNDLE: bundle,
  }

  // Debian, Ubuntu, Alpine: a file for each, which stays the same when it is done again.
  const own = 'ls /usr/local/share/ca-certificates; grep -c BEGIN /etc/ssl/certs/ca-certificates.crt'
  const before = Number(await say(`grep -c BEGIN ${bundle}`))
  expect(await look()).toEqual(variables)
  const debian = `e2b-server-ca-1.crt\ne2b-server-ca-2.crt\n${before + 2}`
  expect(await say(own)).toBe(debian)
  expect(await look()).toEqual(variables)
  expect(await say(own)).toBe(debian)
  expect(await say(`cat ${authoritiesFile}`)).toBe(pem.trim())
  const kept = 'sudo -u user env NODE_EXTRA_CA_CERTS=/kept sudo env | grep NODE_EXTRA'
  expect(await say(kept)).toBe('NODE_EXTRA_CA_CERTS=/kept')

  // Fedora, Arch, SUSE: their folder, and their command.
  const tools = '/usr/sbin/update-ca-certificates /usr/sbin/update-ca-trust'
  for (const [folder, tool] of [
    ['/etc/pki/ca-trust/source/anchors', 'update-ca-trust'],
    ['/etc/ca-certificates/trust-source/anchors', 'update-ca-trust'],
    ['/etc/pki/trust/anchors', 'update-ca-certificates'],
  ] as const) {
    const made = `printf '#!/bin/sh\\ntouch /has-run\\n' > /usr/sbin/${tool}; chmod 755 /usr/sbin/${tool}`
    await run(guest, `rm -f ${tools}; mkdir -p ${folder}; ${made}`)
    expect(await look()).toEqual(variables)
    expect(await say(`cat ${folder}/*; rm -r ${folder} /has-run`)).toBe(pem.trim())
  }

  // No such command: behind what there is, or as all there is.
  await run(guest, `rm -f ${tools}; echo mark > ${bundle}`)
  for (let turn = 0; turn < 2; turn++) {
    expect(await look()).toEqual(variables)
    expect(await say(`cat ${bundle}`)).toBe(`mark\n${pem.trim()}`)
  }
  await end()
})

test('an image without a package manager is used as far as it goes, and without bash not at all', async () => {
  const source = await provision(debian)
  const bare = async (more: string) => {
    await run(source.guest, `rm -rf /usr/bin/apt* ${more}`)
    const image = newImage()
    await runtime.snapshot(source.handle, image, patience())
    return provision(image)
  }
  const used = await bare('')
  await used.look()
  expect(used.lines.at(-1)).toMatch(/^The image is used without .*sudo.*: the image has no package manager/)
  expect((await run(used.guest, 'su -l user -c "id -un"')).stdout).toBe('user\n')
  const refused = await bare('/bin/bash')
  await expect(refused.look()).rejects.toMatchObject({
    code: 'failed_precondition',
    message: expect.stringContaining('it has no bash, and the image has no package manager'),
  })
  for (const each of [source, used, refused]) await each.end()
})

test('an image without a shell, or for another machine, is refused with the reason', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'e2b-images-'))
  const root = join(folder, 'root')
  await execute('mkdir', ['-p', join(root, 'bin')])
  await execute('sh', ['-c', `printf 'just a program' > ${root}/program`])
  const scratch = await provision(await imageOf('scratch', root))
  await expect(scratch.look()).rejects.toMatchObject({
    code: 'failed_precondition',
    message: expect.stringContaining('it has no shell (/bin/sh)'),
  })
  // The head of a program for no CPU that there is.
  await execute('sh', [
    '-c',
    `printf '\\177ELF\\002\\001\\001\\000' > ${root}/bin/sh; chmod 755 ${root}/bin/sh`,
  ])
  const foreign = await provision(await imageOf('foreign', root))
  await expect(foreign.look()).rejects.toMatchObject({
    code: 'failed_precondition',
    message: expect.stringContaining("its shell can't be run here"),
  })
  for (const each of [scratch, foreign]) await each.end()
  await rm(folder, { recursive: true })
})
