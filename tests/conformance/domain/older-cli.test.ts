/** E2B's command line of the first generation, which knows no server but the one of its domain. */
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { testDomain } from '../../support/mode.ts'
import { sdks } from '../../support/sdks.ts'
import { joinSharedServer, type SharedServer } from '../../support/shared-server.ts'

const cli = join(import.meta.dirname, '../../../build/older-cli/dist/index.js')
const home = mkdtempSync(join(tmpdir(), 'e2b-older-cli-'))
let server: SharedServer
beforeAll(async () => {
  server = await joinSharedServer()
  // It has Docker make an image too and pushes it to the domain, where nobody needs it: here is one that notes its commands.
  mkdirSync(join(home, 'bin'))
  writeFileSync(join(home, 'bin/docker'), '#!/bin/sh\necho "$@" >> "$HOME/docker.log"\n', { mode: 0o755 })
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
  rmSync(home, { recursive: true, force: true })
})

test('template build, and again by its e2b.toml', { timeout: 240_000 }, async () => {
  const name = `older-${randomUUID().slice(0, 8)}`
  writeFileSync(join(home, 'e2b.Dockerfile'), 'FROM e2bdev/base\nRUN echo built > /said\n')
  const made = await run('template', 'build', '--name', name, '--cpu-count', '1', '--memory-mb', '512')
  expect(made).toMatch(/RUN echo built > \/said/)
  expect(made).toContain(name)
  const config = readFileSync(join(home, 'e2b.toml'), 'utf8')
  const templateId = /template_id = "(\w+)"/.exec(config)?.[1]
  const pushed = `docker.${testDomain}/e2b/custom-envs/${templateId}:`
  expect(readFileSync(join(home, 'docker.log'), 'utf8')).toContain(`push ${pushed}`)
  expect(await say(name)).toBe('built\n')

  writeFileSync(join(home, 'e2b.Dockerfile'), 'FROM e2bdev/base\nRUN echo again > /said\n')
  await run('template', 'build')
  expect(readFileSync(join(home, 'e2b.toml'), 'utf8')).toBe(config)
  expect(await say(name)).toBe('again\n')

  writeFileSync(join(home, 'e2b.Dockerfile'), 'FROM e2bdev/base\nCOPY e2b.toml /\n')
  await expect(run('template', 'build')).rejects.toThrow('e2b template create')
})

async function say(template: string): Promise<string> {
  const sandbox = await sdks[0]!.sdk.Sandbox.create(template)
  const { stdout } = await sandbox.commands.run('cat /said')
  await sandbox.kill()
  return stdout
}

/** What a command prints; rejects with it where the command fails. */
async function run(...args: string[]): Promise<string> {
  const child = spawn(process.execPath, [cli, ...args], {
    cwd: home,
    env: {
      PATH: `${join(home, 'bin')}:${process.env.PATH}`,
      HOME: home,
      NO_COLOR: '1',
      NO_UPDATE_NOTIFIER: '1',
      E2B_ACCESS_TOKEN: server.apiKey,
      E2B_DOMAIN: testDomain,
      NODE_EXTRA_CA_CERTS: process.env.NODE_EXTRA_CA_CERTS,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 120_000,
  })
  let printed = ''
  child.stdout.on('data', (text) => (printed += text))
  child.stderr.on('data', (text) => (printed += text))
  const code = await new Promise((resolve) => child.once('close', resolve))
  if (code !== 0) throw new Error(`e2b ${args.join(' ')} ended with ${code}:\n${printed}`)
  return printed
}
