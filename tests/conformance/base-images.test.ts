/** A template from an image that was never meant for sandboxes: one static program and nothing else. */
import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Registry, startRegistry } from '../support/registry.ts'
import { sdks } from '../support/sdks.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

const folder = mkdtempSync(join(tmpdir(), 'e2b-program-'))
let registry: Registry
let server: TestServer
let image: string
beforeAll(async () => {
  registry = await startRegistry({ isClosed: false })
  server = await startTestServer({ flags: ['--registry-allow', '127.0.0.0/8'] })
  writeFileSync(
    join(folder, 'program.c'),
    '#include <stdio.h>\nint main(void) { return puts("it runs") < 0; }\n',
  )
  execFileSync('cc', ['-static', '-o', 'program', 'program.c'], { cwd: folder })
  await registry.push('program:1', { folder })
  image = `${registry.host}/program:1`
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
  await registry[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true })
})

test('steps, commands, files, sudo and a start command work where the image had no shell', {
  timeout: 300_000,
}, async () => {
  const { Sandbox, Template, waitForFile } = sdks[0]!.sdk
  const name = `program-${randomUUID().slice(0, 8)}`
  const template = Template({ fileContextPath: folder })
    .fromImage(image)
    .copy('program.c', '/srv/')
    .runCmd('id -un > /tmp/who && sudo sh -c "id -un >> /tmp/who"')
    .setStartCmd('echo started > /tmp/started; sleep 1000', waitForFile('/tmp/started'))
  const lines: string[] = []
  await Template.build(template, name, {
    cpuCount: 1,
    memoryMB: 512,
    onBuildLogs: ({ message }) => void lines.push(message),
  })
  expect(lines.join('\n')).toContain('The server brought along: bash, ss, pgrep, sudo, certificates')
  expect(lines.join('\n')).toContain('The image is used without curl, git')
  const sandbox = await Sandbox.create(name)
  try {
    const said = await sandbox.commands.run(
      '/program; cat /tmp/who; pwd; grep -c main /srv/program.c; sudo id -u',
    )
    expect(said.stdout).toBe('it runs\nuser\nroot\n/home/user\n1\n0\n')
    await sandbox.files.write('some.txt', 'text')
    expect(
      (await sandbox.commands.run('cat some.txt; stat -c %U some.txt; ps | grep -c "sleep 100[0]"')).stdout,
    ).toBe('textuser\n1\n')
  } finally {
    await sandbox.kill()
  }
})
