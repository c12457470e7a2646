/** Templates install packages and clone repositories, and their sandboxes go on doing so. */
import { execFileSync, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Registries, reachRegistries } from '../support/registries.ts'
import { type Sdk, sdks } from '../support/sdks.ts'
import { startTestServer, type TestServer } from '../support/server.ts'
import { proves } from './compat/proves.ts'

const timeout = 300_000
const folder = mkdtempSync(join(tmpdir(), 'e2b-repository-'))
let registries: Registries
let server: TestServer
let git: Awaited<ReturnType<typeof serveRepository>>

beforeAll(async () => {
  registries = await reachRegistries()
  git = await serveRepository()
  const flags = [...registries.flags, '--egress-allow', `${git.address}/32`]
  flags.push('--build-env', 'MIRROR_TOKEN=of-the-operator')
  server = await startTestServer({ flags })
}, timeout)
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
  git?.child.kill()
  registries?.[Symbol.dispose]()
  rmSync(folder, { recursive: true })
})

/** A repository with two commits on `main` and one more on `side`, on an address of this machine that isn't the loopback. */
async function serveRepository() {
  const address = Object.values(networkInterfaces())
    .flat()
    .find((each) => each?.family === 'IPv4' && !each.internal)?.address
  const run = (...args: string[]) =>
    execFileSync('git', ['-C', folder, '-c', 'user.name=x', '-c', 'user.email=x@example.org', ...args])
  run('init', '--quiet', '--initial-branch=main')
  for (const [branch, message] of [
    ['main', 'one'],
    ['main', 'two'],
    ['side', 'three'],
  ] as const) {
    if (branch === 'side') run('checkout', '--quiet', '-b', branch)
    run('commit', '--quiet', '--allow-empty', '-m', message)
  }
  run('checkout', '--quiet', 'main')
  // A daemon doesn't say which port it got, so one is taken that is free.
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 10_000)
    const args = ['daemon', '--verbose', '--export-all', `--base-path=${folder}`]
    const child = spawn('git', [...args, `--listen=${address}`, `--port=${port}`, folder], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const ready = new Promise<boolean>((resolve) => {
      child.stderr.on('data', (text) => /Ready to rumble/.test(text) && resolve(true))
      child.once('close', () => resolve(false))
    })
    if (await ready) return { address, url: `git://${address}:${port}/`, child }
  }
}

describe.each(sdks)('e2b $version: installing', ({ sdk }) => {
  const { Sandbox, Template } = sdk as Sdk

  test('packages of apt, pip, npm and bun, and repositories, with every option', {
    timeout,
    ...proves('Template.build'),
  }, async () => {
    const called = `installs-${randomUUID().slice(0, 8)}`
    const project = 'printf "[project]\\nname = \\"own\\"\\nversion = \\"1.0\\"\\n" > pyproject.toml'
    const template = Template()
      .fromTemplate('base')
      .aptInstall('hello')
      .aptInstall(['figlet'], { noInstallRecommends: true, fixMissing: true })
      .pipInstall('requests')
      .pipInstall(['iniconfig'], { g: false })
      .npmInstall(['is-odd', 'bun'], { g: true })
      .setWorkdir('/home/user/app')
      .runCmd([project, `echo '{"dependencies":{"is-number":"7.0.0"}}' > package.json`])
      .pipInstall()
      .npmInstall()
      .npmInstall('is-even', { dev: true })
      .bunInstall(['is-windows'], { dev: true })
      .bunInstall()
      .bunInstall('is-plain-obj', { g: true })
      .gitClone(git.url)
      .gitClone(git.url, '/home/user/shallow', { branch: 'side', depth: 1 })
      .gitClone(git.url, '/root/cloned', { user: 'root' })
      .runCmd('echo "token: $MIRROR_TOKEN"; test -n "$MIRROR_TOKEN"')
    const lines: string[] = []
    await Template.build(template, called, {
      cpuCount: 2,
      memoryMB: 1024,
      onBuildLogs: ({ message }) => void lines.push(message),
    })
    const sandbox = await Sandbox.create(called)
    const say = async (command: string) => (await sandbox.commands.run(command)).stdout.trim()
    expect(lines.join('\n')).not.toContain('of-the-operator')
    expect(await say('hello; which figlet; echo "[$MIRROR_TOKEN]"')).toBe(
      'Hello, world!\n/usr/bin/figlet\n[]',
    )
    const look =
      'import importlib.metadata as m; print(*(m.version(n) for n in ("requests", "iniconfig", "own")))'
    expect(await say(`python3 -c '${look}'`)).toMatch(/^\d\S+ \d\S+ 1\.0$/)
    const installed = await say('ls node_modules && cat package.json && ls /usr/local/lib/node_modules')
    for (const name of ['is-number', 'is-even', 'is-windows', 'is-odd']) expect(installed).toContain(name)
    expect(await say('sudo ls /root/.bun/install/global/node_modules')).toBe('is-plain-obj')
    const repositories = ['$(basename /home/user/app/[0-9]*)', '/home/user/shallow', '/root/cloned']
    const counts = repositories.map((path) => `sudo git -C ${path} log --oneline | wc -l`)
    expect(await say(counts.join('; '))).toBe('2\n1\n2')

    // What has a trust store of its own asks the same registry, also as root.
    const registry = await say('npm config get registry')
    const visit = `python3 -c 'import requests; print(requests.get("${registry}").ok)'`
    const asks = [`curl -sSf -o /dev/null ${registry} && echo True`, visit, `sudo ${visit}`]
    expect(await say(asks.join('; '))).toBe('True\nTrue\nTrue')
    const later = [
      'npm view is-odd name',
      'sudo npm view is-odd name',
      'pip download -q --no-deps six && ls six*',
    ]
    expect(await say(later.join(' && '))).toMatch(/^is-odd\nis-odd\nsix-.*\.whl$/)
    await sandbox.kill()
  })
})
