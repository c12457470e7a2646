/** Templates begin with images that the machine's Docker engine has and no registry. */
import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { Sandbox, Template } from 'e2b'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestServer, type TestServer } from '../support/server.ts'

const timeout = 300_000
const image = `e2b-test-local/${randomUUID()}`
let server: TestServer
const build = (text: string) =>
  execFileSync('docker', ['build', '--quiet', '--tag', image, '-'], {
    input: `FROM scratch\nENV LOCAL=${text}\nWORKDIR /${text}\n`,
  })
beforeAll(async () => {
  server = await startTestServer({ flags: ['--images-from-engine', '--offline'] })
}, timeout)
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
  execFileSync('docker', ['rmi', '--force', image], { stdio: 'ignore' })
})

test('what `docker build` has made is there for templates, and the next one of that name too', {
  timeout,
}, async () => {
  for (const text of ['one', 'two']) {
    build(text)
    const name = `local-${randomUUID().slice(0, 8)}`
    await Template.build(Template().fromImage(image), name, { cpuCount: 1, memoryMB: 512 })
    const sandbox = await Sandbox.create(name)
    expect((await sandbox.commands.run('echo $LOCAL; ls -d /one /two || true')).stdout).toBe(
      `${text}\n/${text}\n`,
    )
    await sandbox.kill()
  }
})
