/** Images made here: Debian without anything, the same without a package manager, single programs, and the stock template. */
import { execFile } from 'node:child_process'
import { rootCertificates } from 'node:tls'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { baseImageName, buildBaseImage } from '../../images/base/build.mjs'
import type { Runtime } from '../domain/runtime.ts'
import { exec } from '../guest/exec.ts'
import { stat } from '../guest/stat.ts'
import { patience } from '../runtimes/docker/runtime.fixture.ts'
import { newImage, run } from '../runtimes/tools.suite.ts'
import { imageBench, installMs, toolsFile } from './image-bench.fixture.ts'
import type { ImageTools } from './image-tools.ts'
import { follow } from './run-command.ts'
import { createAuthorities } from './trust-authorities.ts'
import { authoritiesFile } from './trust-script.ts'

const execute = promisify(execFile)

let bench: Awaited<ReturnType<typeof imageBench>>
let runtime: Runtime
let tools: ImageTools
let debian: string

beforeAll(async () => {
  await buildBaseImage({ log: () => {} })
  bench = await imageBench()
  runtime = bench.runtime
  tools = bench.tools
  debian = await bench.debianImage('bookworm')
}, 15 * 60_000)
afterAll(() => bench?.dispose())

test('the stock template has everything, and nothing is installed', async () => {
  const { guest, lines, look, end } = await bench.provision(await baseImageName())
  await look()
  expect(lines).toEqual([])
  expect((await stat(guest, { path: '/code' }, patience())).mode).toBe(0o777)
  await end()
})

test(
  'Debian gets bash, sudo, certificates and programs from its packages, once',
  async () => {
    const { guest, lines, look, end } = await bench.provision(debian)
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
  const { guest, look, end } = await bench.provision(await baseImageName(), {
    authorities: createAuthorities(pem),
  })
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

test('an image without a package manager gets from us what it lacks, and keeps what it has', async () => {
  const source = await bench.provision(debian)
  const bare = async (more: string, brought?: ImageTools) => {
    await run(source.guest, `rm -rf /usr/bin/apt* ${more}`)
    const image = newImage()
    await runtime.snapshot(source.handle, image, patience())
    return bench.provision(image, { tools: brought })
  }
  const poor = await bare('')
  await poor.look()
  expect(poor.lines.at(-1)).toMatch(/^The image is used without .*sudo.*: the image has no package manager/)
  expect((await run(poor.guest, 'su -l user -c "id -un"')).stdout).toBe('user\n')
  const refused = await bare('/bin/bash')
  await expect(refused.look()).rejects.toMatchObject({
    code: 'failed_precondition',
    message: expect.stringMatching(
      /it has no bash, the image has no package manager .*, and there are no programs/,
    ),
  })
  const given = await bare('', tools)
  await given.look()
  expect(given.lines.slice(-2)).toEqual([
    expect.stringMatching(
      /^The server brought along: bash, ss, pgrep, sudo, certificates, \d+ small programs/,
    ),
    expect.stringMatching(/^The image is used without curl, git: the image has no package manager/),
  ])
  const said = await run(
    given.guest,
    'readlink /bin/bash; ls --version | head -n 1; su -l user -c "sudo id -un"',
  )
  expect(said.stdout).toMatch(/^\/usr\/lib\/e2b\/bash\nls \(GNU coreutils\) .*\nroot\n$/)
  const before = given.lines.length
  await given.look()
  expect(given.lines.slice(before)).toEqual([expect.stringMatching(/^The image is used without curl/)])
  for (const each of [source, poor, refused, given]) await each.end()
})

test('an image of one static program gets all of it from us', async () => {
  const { handle, guest, lines, look, end } = await bench.provision(await bench.onlyProgram(), { tools })
  await look()
  expect(lines.join('\n')).toContain('The server brought along: bash, ss, pgrep, sudo, certificates')
  const asUser = (script: string) => run(guest, `su -l user -c '${script}'`)
  const said = await asUser(
    '/program; id -un; pwd; echo $BASH_VERSION | cut -c 1-2; sudo -u user sudo id -un',
  )
  expect(said).toMatchObject({ stdout: 'it runs\nuser\n/home/user\n5.\nroot\n', status: 'exit status 0' })
  expect((await asUser('grep -c BEGIN /etc/ssl/certs/ca-certificates.crt')).stdout).toMatch(/^1\d\d\n$/)
  expect((await asUser('echo hi > /tmp/x; stat -c %a /tmp /code /root; ls -ld /bin/sh | wc -l')).stdout).toBe(
    '1777\n777\n700\n1\n',
  )
  // The port that a program listens on, and a program, as ready commands ask for them.
  const listens = 'nc -l -p 8080 > /dev/null 2>&1 & echo $! > /tmp/nc'
  await run(guest, `${listens}; until ss -Htuln sport = :8080 | grep -q 8080; do sleep 0.1; done`)
  const ready =
    'ss -Htuln sport = :8080 | grep -c :8080; ss -Htuln sport = :8081; pgrep nc | grep -c -x -f /tmp/nc; pgrep none; echo $?; ss -s 2>&1 | grep -c small'
  expect((await asUser(ready)).stdout).toBe('1\n1\n1\n1\n')
  // What others are not allowed they don't get from the file that lends root's rights, whatever they call it.
  const other = await run(guest, 'echo "other:x:2000:2000::/:/bin/sh" >> /etc/passwd; su other -c "sudo id"')
  expect(other).toMatchObject({
    status: 'exit status 1',
    stderr: expect.stringContaining('other may not use sudo'),
  })
  const disguised = 'exec -a e2b-guest /usr/lib/e2b/sudo --listen unix:/tmp/socket'
  expect((await run(guest, `su other -s /bin/bash -c "${disguised}"`)).stderr).toMatch(/^sudo: /)
  const copy = newImage()
  await runtime.snapshot(handle, copy, patience())
  const again = await bench.provision(copy, { tools })
  const { stdout } = await run(
    again.guest,
    'su -l user -c \'sudo X=1 env | grep -E "^(X|SUDO_USER)="; id -u\'',
  )
  expect(stdout.split('\n').sort()).toEqual(['', '1000', 'SUDO_USER=user', 'X=1'])
  for (const each of [{ end }, again]) await each.end()
})

test('an image of nothing but busybox keeps it', async () => {
  const busybox = await execute('tar', ['-xOf', toolsFile, './busybox'], {
    encoding: 'buffer',
    maxBuffer: 2 ** 24,
  })
  const image = await bench.imageOfFile('busybox', 'bin/busybox', busybox.stdout)
  const source = await bench.provision(image)
  await follow(
    await exec(
      source.guest,
      {
        cmd: '/bin/busybox',
        args: ['--install', '-s', '/bin'],
        env: {},
        cwd: '/',
        user: 'root',
        stdin: false,
      },
      patience(),
    ),
    undefined,
  )
  const full = newImage()
  await runtime.snapshot(source.handle, full, patience())
  const { guest, lines, look, end } = await bench.provision(full, { tools })
  await look()
  expect(lines).toContain(
    'The server brought along: bash, ss, pgrep, sudo, certificates, 0 small programs (busybox).',
  )
  const said = await run(guest, 'readlink /bin/ls; ls /usr/lib/e2b; su -l user -c "sudo id -un"')
  expect(said.stdout).toBe('/bin/busybox\nbash\nlicenses\npgrep\nss\nsudo\nroot\n')
  for (const each of [source, { end }]) await each.end()
})

test('an image without a shell where there is nothing to bring, or for another machine, is refused with the reason', async () => {
  const scratch = await bench.provision(await bench.onlyProgram())
  await expect(scratch.look()).rejects.toMatchObject({
    code: 'failed_precondition',
    message: expect.stringContaining('it has no shell (/bin/sh), and there are no programs'),
  })
  // The head of a program for no CPU that there is.
  const head = Buffer.from('\x7fELF\x02\x01\x01\x00', 'latin1')
  const foreign = await bench.provision(await bench.imageOfFile('foreign', 'bin/sh', head), { tools })
  await expect(foreign.look()).rejects.toMatchObject({
    code: 'failed_precondition',
    message: expect.stringContaining("its shell can't be run here"),
  })
  for (const each of [scratch, foreign]) await each.end()
})
