/** What a build says of its sandboxes, with real guests. */
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  anySandbox,
  buildOf,
  openAdmission,
  startControl,
  type TestControl,
  templateOf,
} from '../../tests/support/control.ts'
import type { Sandbox } from '../domain/sandbox.ts'
import { noDefaults, type SandboxDefaults } from '../domain/template-build.ts'
import { exec } from '../guest/exec.ts'
import { connectSandbox } from './connect-sandbox.ts'
import { createSandbox } from './create-sandbox.ts'
import { forkSandbox } from './fork-sandbox.ts'
import { pauseSandbox } from './pause-sandbox.ts'
import { snapshotSandbox } from './snapshot-sandbox.ts'

const signal = () => AbortSignal.timeout(30_000)
const options = () => ({ signal: signal(), phase: () => {} })

let parts: TestControl
let folder: string
beforeAll(async () => {
  parts = await startControl()
  folder = await mkdtemp(join(tmpdir(), 'e2b-defaults-'))
  // Guests of the process runtime may run as somebody else.
  await chmod(folder, 0o777)
})
afterAll(async () => {
  await parts[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

async function createOf(
  name: string,
  defaults: Partial<SandboxDefaults>,
  control = parts.control,
): Promise<Sandbox> {
  const { store } = control
  const template = templateOf({ id: name, aliases: [name] })
  const build = buildOf({ templateId: name, defaults: { ...noDefaults, ...defaults } })
  await store.builds.create(build, { template })
  await store.tags.assign(name, ['default'], build.id, 1)
  return createSandbox(control, { ...anySandbox, template: name, envVars: { B: 'mine' } }, options())
}

async function said({ handle }: Sandbox, script: string): Promise<string> {
  const guest = { connect: (connecting: AbortSignal) => parts.runtime.connect(handle!, connecting) }
  const shell = { cmd: '/bin/sh', args: ['-c', script], env: {}, stdin: false }
  let output = ''
  for await (const event of (await exec(guest, shell, signal())).events) {
    if (event.type !== 'end') output += event.bytes
  }
  return output.trim()
}

test('environment, directory and start command are those of the build, also for copies and after a boot', async () => {
  const boots = `cat ${folder}/boots | wc -l`
  const sandbox = await createOf('mine', {
    env: { A: 'build', B: 'build' },
    workdir: folder,
    startCmd: `echo boot >> boots; exec sleep 60`,
    readyCmd: `test -s ${folder}/boots`,
  })
  const look = 'echo $A $B $(pwd)'
  expect(await said(sandbox, look)).toBe(`build mine ${folder}`)
  expect(await said(sandbox, boots)).toBe('1')

  const { template } = await snapshotSandbox(
    parts.control,
    sandbox,
    { name: undefined, memory: undefined },
    { signal: signal() },
  )
  const copy = await createSandbox(parts.control, { ...anySandbox, template: template.id }, options())
  expect(await said(copy, look)).toBe(`build build ${folder}`)
  const [fork] = await forkSandbox(parts.control, copy, { timeoutS: 60, count: 1 }, options())
  expect(fork !== undefined && 'sandbox' in fork && (await said(fork.sandbox, look))).toBe(
    `build build ${folder}`,
  )
  // Its file is there since the first boot, so that none of the others waits for its own line.
  await expect.poll(() => said(sandbox, boots)).toBe('3')

  await pauseSandbox(parts.control, sandbox, { memory: false }, signal())
  const again = await connectSandbox(
    parts.control,
    sandbox,
    { timeoutS: 60, memory: true },
    { signal: signal() },
  )
  expect(await said(again.sandbox, look)).toBe(`build mine ${folder}`)
  await expect.poll(() => said(again.sandbox, boots)).toBe('4')
})

test('a ready command that takes long holds up no other start', async () => {
  const { store, clock } = parts.control
  const admission = openAdmission(store, clock, { maxStarting: 1 })
  const control = { ...parts.control, admission }
  const slow = createOf(
    'slow',
    { readyCmd: `echo asked >> ${folder}/asked; test -f ${folder}/released` },
    control,
  )
  const other = await createSandbox(control, { ...anySandbox, template: 'base' }, options())
  expect(other.state).toBe('running')
  await writeFile(join(folder, 'released'), '')
  expect(await said(await slow, `head -n 1 ${folder}/asked`)).toBe('asked')
})

test('a sandbox whose start command fails is not there', async () => {
  await expect(createOf('broken', { startCmd: 'exit 3', readyCmd: 'false' })).rejects.toMatchObject({
    message: expect.stringContaining('exit status 3'),
  })
  expect(await parts.control.store.sandboxes.list({ templateId: 'broken' })).toEqual([])
})
