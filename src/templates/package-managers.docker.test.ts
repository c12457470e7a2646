/**
 * What images lack comes from their own package manager: from apt in provision.docker.test.ts, from the others here. The
 * managers are the real ones, as Debian has them; what they install are packages that the test makes, with the names that
 * their distributions have.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Guest } from '../guest/guest.ts'
import { patience } from '../runtimes/docker/runtime.fixture.ts'
import { newImage, run } from '../runtimes/tools.suite.ts'
import { imageBench, installMs } from './image-bench.fixture.ts'
import { repositoriesScript } from './package-managers.fixture.ts'

/** What `npm test -- --deep` adds: it takes minutes to make such an image the first time. */
const isDeep = process.env.E2B_BASE_IMAGES === 'all'

let bench: Awaited<ReturnType<typeof imageBench>>
beforeAll(async () => {
  bench = await imageBench()
})
afterAll(() => bench?.dispose())

const asUser = async (guest: Guest, script: string) => (await run(guest, `su -l user -c '${script}'`)).stdout

/** The command lines by which each is told, to a program that keeps them and does nothing. */
test.each([
  ['dnf', /^install -y sudo ca-certificates curl iproute procps-ng git\n/],
  ['apk', /^add --no-cache sudo ca-certificates curl iproute2 procps git\n/],
  ['pacman', /^-Syu --noconfirm --needed sudo ca-certificates curl iproute2 procps-ng git\n/],
  ['zypper', /^--non-interactive install --no-recommends sudo ca-certificates curl iproute2 procps git\n/],
])(
  '%s is told to install packages by its names, then only what must be, and then we bring it',
  async (name, told) => {
    const { guest, lines, look, end } = await bench.provision(await bench.debianImage('bookworm'), {
      tools: bench.tools,
    })
    const manager = `rm -f /usr/bin/apt* /usr/bin/pgrep; printf '#!/bin/sh\\necho "$@" >> /told; exit 9\\n' > /usr/bin/${name}`
    await run(guest, `${manager}; chmod 755 /usr/bin/${name}`)
    await look()
    const { stdout } = await run(guest, 'cat /told')
    expect(stdout).toMatch(told)
    expect(stdout.trimEnd().split('\n').at(-1)).toMatch(/ sudo ca-certificates$/)
    expect(lines.slice(-2)).toEqual([
      expect.stringContaining('The server brought along: ss, pgrep, sudo, certificates,'),
      'The image is used without curl, git: its package manager could not install it (exit status 9).',
    ])
    expect(await asUser(guest, 'sudo id -un')).toBe('root\n')
    await end()
  },
)

test('a package manager that reaches nothing leaves the image to us', async () => {
  const { guest, lines, look, end } = await bench.provision(await bench.debianImage('bookworm'), {
    tools: bench.tools,
  })
  const sources =
    'rm -rf /etc/apt/sources.list.d; echo "deb [trusted=yes] file:///nowhere x main" > /etc/apt/sources.list'
  await run(guest, sources)
  await look()
  expect(lines.at(-1)).toMatch(/^The image is used without curl, git: its package manager could not/)
  expect(await asUser(guest, 'sudo id -un; sudo -n true && echo yes')).toBe('root\nyes\n')
  await end()
})

const packages = [
  ...[
    'dnf',
    'zypper',
    'pacman-package-manager',
    'makepkg',
    'rpm',
    'createrepo-c',
    'zstd',
    'libarchive-tools',
  ],
  ...['sudo', 'curl', 'git', 'iproute2', 'procps', 'ca-certificates'],
]

test.each(isDeep ? ['dnf', 'zypper', 'pacman'] : [])(
  '%s installs what is missing, and nothing is brought',
  async (name) => {
    const source = await bench.provision(await bench.debianImage('bookworm', packages))
    const made = await run(source.guest, repositoriesScript(name))
    expect(made).toMatchObject({ status: 'exit status 0' })
    const image = newImage()
    await bench.runtime.snapshot(source.handle, image, patience())
    const { guest, lines, look, end } = await bench.provision(image, { tools: bench.tools })
    await look()
    expect(lines[0]).toMatch(new RegExp(`^Installing with ${name}: bash sudo ca-certificates`))
    expect(lines.join('\n')).not.toContain('brought along')
    expect(lines.join('\n')).not.toContain('is used without')
    expect(await asUser(guest, 'sudo id -un; git --version | cut -c 1-3; ss -h | head -c 6')).toBe(
      'root\ngit\nUsage:',
    )
    for (const each of [source, { end }]) await each.end()
  },
  installMs,
)

test.each(isDeep ? ['trixie'] : [])(
  'Debian’s %s gets what it lacks from its packages',
  async (suite) => {
    const { guest, lines, look, end } = await bench.provision(await bench.debianImage(suite), {
      tools: bench.tools,
    })
    await look()
    expect(lines[0]).toMatch(/^Installing with apt-get: sudo ca-certificates/)
    expect(lines.join('\n')).not.toContain('brought along')
    expect(await asUser(guest, 'sudo id -un; curl --version | head -c 4')).toBe('root\ncurl')
    await end()
  },
  installMs,
)
