/** Guests that are started ahead, with a real control plane and real guests. */
import { randomUUID } from 'node:crypto'
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, onTestFinished, test, vi } from 'vitest'
import {
  anySandbox,
  buildOf,
  startControl,
  type TestControl,
  templateOf,
} from '../../tests/support/control.ts'
import { createSandbox } from '../control/create-sandbox.ts'
import { deleteTemplate } from '../control/delete-template.ts'
import { killSandbox } from '../control/kill-sandbox.ts'
import { reconcile } from '../control/reconcile.ts'
import { resolveBuild } from '../control/resolve-template.ts'
import type { WarmKind } from '../domain/node.ts'
import type { Sandbox } from '../domain/sandbox.ts'
import { noDefaults, type SandboxDefaults } from '../domain/template-build.ts'
import { exec } from '../guest/exec.ts'
import type { Faults } from '../runtimes/process/faults.ts'

const signal = () => AbortSignal.timeout(30_000)
const stopping: AbortController[] = []
const running: Promise<unknown>[] = []
const open: TestControl[] = []

afterEach(async () => {
  for (const controller of stopping.splice(0)) controller.abort()
  await Promise.all(running.splice(0))
  for (const parts of open.splice(0)) await parts[Symbol.asyncDispose]()
})

async function start(options: { faults?: Faults } = {}): Promise<TestControl> {
  const parts = await startControl(options)
  open.push(parts)
  return parts
}

/** Lets the pool work, with one of `base` kept; what is returned ends it. */
async function fill(parts: TestControl, kept = ['base']): Promise<() => Promise<void>> {
  const controller = new AbortController()
  stopping.push(controller)
  const kinds = await Promise.all(kept.map((name) => kindOf(parts, name)))
  const over = parts.warm.run(kinds, controller.signal)
  running.push(over)
  return async () => {
    controller.abort()
    await over
  }
}

async function kindOf({ control }: TestControl, name: string): Promise<WarmKind> {
  const { build } = await resolveBuild(control, 'team', name)
  const { id: buildId, templateId, image, cpuCount, memoryMb, diskMb, defaults } = build
  return { buildId, templateId, image: image!, cpuCount, memoryMb, diskMb, defaults }
}

async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  for (const limit = signal(); !(await holds()); await sleep(10)) {
    if (limit.aborted) throw new Error(`never: ${what}`)
  }
}

/** Those that wait, are ready, and have no sandbox. */
async function waiting({ control, warm, guests }: TestControl): Promise<string[]> {
  const recorded = await control.store.warmGuests.list()
  return (await guests()).filter((id) => recorded.includes(id) && warm.owns(id))
}

/** Ends one that waits, behind the pool's back. */
async function endBehindItsBack({ runtime, warm }: TestControl, id: string): Promise<void> {
  // While it is still starting its start finds out, and the pool.
  await until('it is ready', () => warm.figures().base?.waiting === 1)
  const handle = (await runtime.list(signal())).find(({ sandboxId }) => sandboxId === id)!
  await runtime.destroy(handle, signal())
}

async function create(parts: TestControl, more: Partial<Parameters<typeof createSandbox>[1]> = {}) {
  const phases: string[] = []
  const options = { signal: signal(), phase: (name: string) => void phases.push(name) }
  const sandbox = await createSandbox(parts.control, { ...anySandbox, ...more }, options)
  return { sandbox, phases }
}

async function addTemplate({ control }: TestControl, name: string, defaults: Partial<SandboxDefaults>) {
  const template = templateOf({ id: name, aliases: [name] })
  const build = buildOf({ templateId: name, defaults: { ...noDefaults, ...defaults } })
  await control.store.builds.create(build, { template })
  await control.store.tags.assign(name, ['default'], build.id, 1)
  return build
}

/** An empty folder that guests may write to, which share the machine's files. */
function openFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'e2b-warm-'))
  chmodSync(folder, 0o777)
  onTestFinished(() => rmSync(folder, { recursive: true }))
  return folder
}

async function said(parts: TestControl, { handle }: Sandbox, script: string): Promise<string> {
  const guest = { connect: (connecting: AbortSignal) => parts.runtime.connect(handle!, connecting) }
  const shell = { cmd: '/bin/sh', args: ['-c', script], env: {}, stdin: false }
  let output = ''
  for await (const event of (await exec(guest, shell, signal())).events) {
    if (event.type !== 'end') output += event.bytes
  }
  return output.trim()
}

test('a sandbox is the guest that waited, with its own variables, and the next one waits', async () => {
  const parts = await start()
  await fill(parts)
  await until('one waits', async () => (await waiting(parts)).length === 1)
  const [id] = await waiting(parts)
  const { sandbox, phases } = await create(parts, { envVars: { A: 'mine' } })
  expect(sandbox.id).toBe(id)
  expect(phases).toContain('claim')
  expect(await said(parts, sandbox, 'echo $A')).toBe('mine')
  await until('another waits', async () => (await waiting(parts)).some((each) => each !== id))
  await until(
    'its record is gone',
    async () => !(await parts.control.store.warmGuests.list()).includes(sandbox.id),
  )
})

test('none is handed out twice, and what waits no longer suffices is started as ever', async () => {
  const parts = await start()
  await fill(parts)
  await until('one waits', async () => (await waiting(parts)).length === 1)
  const made = await Promise.all(Array.from({ length: 8 }, () => create(parts)))
  expect(new Set(made.map(({ sandbox }) => sandbox.id)).size).toBe(8)
  expect(made.filter(({ phases }) => phases.includes('claim')).length).toBeLessThan(8)
  // As many as were asked for at once wait the next time.
  await until('eight wait', async () => (await waiting(parts)).length === 8)
})

test('one that is ready is handed out before one that was begun earlier and hangs, whose kind else starts as ever', async () => {
  const parts = await start()
  const folder = openFolder()
  // The first that asks whether it is ready is never told.
  const readyCmd = `mkdir ${folder}/first 2>/dev/null && exec sleep 1000; test -e ${folder}/go`
  await addTemplate(parts, 'slow', { env: { HOME: '/tmp' }, readyCmd })
  await fill(parts, ['slow'])
  await until('one hangs', () => existsSync(`${folder}/first`))
  const [hanging] = await parts.control.store.warmGuests.list()
  writeFileSync(`${folder}/go`, '')
  // Both at once, after which two are wanted.
  const cold = await Promise.all([1, 2].map(() => create(parts, { template: 'slow' })))
  expect(cold.flatMap(({ phases }) => phases)).not.toContain('claim')
  await until('one is ready', () => parts.warm.figures().slow?.waiting === 1)
  expect(parts.warm.figures().slow).toMatchObject({ waiting: 1, starting: 1, missed: 2 })
  const warm = await create(parts, { template: 'slow' })
  expect(warm.phases).toContain('claim')
  expect(warm.sandbox.id).not.toBe(hanging)
  expect(parts.warm.owns(hanging!)).toBe(true)
})

test('what its build starts runs before the sandbox is asked for, without what its create says', async () => {
  const parts = await start()
  // The process runtime's guests share the machine's files with whatever else runs there.
  const started = `/tmp/started-${randomUUID()}`
  onTestFinished(() => rmSync(started, { force: true }))
  const startCmd = `echo "$(printenv A || echo nothing)" > ${started}; sleep 1000`
  await addTemplate(parts, 'server', { env: { HOME: '/tmp' }, startCmd, readyCmd: `test -s ${started}` })
  await fill(parts, ['server'])
  await until('one waits', () => parts.warm.figures().server?.waiting === 1)
  const warm = await create(parts, { template: 'server', envVars: { A: 'mine' } })
  expect(warm.phases).toContain('claim')
  expect(await said(parts, warm.sandbox, `cat ${started}; echo $A`)).toBe('nothing\nmine')
})

test('one that has died is not used: its create starts another under another id', async () => {
  const parts = await start()
  const end = await fill(parts)
  await until('one waits', async () => (await waiting(parts)).length === 1)
  const [id] = await waiting(parts)
  await endBehindItsBack(parts, id!)
  const { sandbox, phases } = await create(parts)
  expect(sandbox.id).not.toBe(id)
  expect(phases).toEqual(expect.arrayContaining(['claim', 'store', 'agent']))
  expect(await said(parts, sandbox, 'echo lives')).toBe('lives')
  expect(parts.warm.owns(id!)).toBe(false)
  expect(parts.warm.figures().base).toMatchObject({ claimed: 1, missed: 0 })
  await end()
  expect(await parts.guests()).toEqual([sandbox.id])
  expect(await parts.control.store.warmGuests.list()).toEqual([])
})

test('one whose start command is killed is replaced, by one in which it runs', async () => {
  const parts = await start()
  const folder = openFolder()
  const startCmd = `echo $$ > ${folder}/$$; exec sleep 98765`
  await addTemplate(parts, 'server', {
    env: { HOME: '/tmp' },
    startCmd,
    readyCmd: `ls ${folder} | grep -q .`,
  })
  await fill(parts, ['server'])
  await until('one waits', () => parts.warm.figures().server?.waiting === 1)
  const [id] = await waiting(parts)
  const [killed] = readdirSync(folder)
  process.kill(Number(killed), 'SIGKILL')
  await until('it is known to be of no use', () => !parts.warm.owns(id!))
  await until('another waits', () => parts.warm.figures().server?.waiting === 1)
  const { sandbox, phases } = await create(parts, { template: 'server' })
  expect(phases).toContain('claim')
  expect(sandbox.id).not.toBe(id)
  await until('the next one runs', () => readdirSync(folder).length > 1)
  const next = readdirSync(folder).find((pid) => pid !== killed)
  expect(await said(parts, sandbox, `kill -0 ${next} && echo runs`)).toBe('runs')
})

test('one whose start command dies as it is claimed is not handed out', async () => {
  const parts = await start()
  const folder = openFolder()
  const startCmd = `echo $$ > ${folder}/$$; exec sleep 98765`
  await addTemplate(parts, 'server', {
    env: { HOME: '/tmp' },
    startCmd,
    readyCmd: `ls ${folder} | grep -q .`,
  })
  await fill(parts, ['server'])
  await until('one waits', () => parts.warm.figures().server?.waiting === 1)
  const kind = await kindOf(parts, 'server')
  const id = parts.warm.claim(kind)!
  process.kill(Number(readdirSync(folder)[0]), 'SIGKILL')
  await until('another waits', () => parts.warm.figures().server?.waiting === 1)
  expect(await parts.warm.take(id, signal())).toBeUndefined()
  parts.warm.putBack(id)
  expect(await parts.guests()).not.toContain(id)
})

test('a start command that has done its work by readiness makes none of no use', async () => {
  const parts = await start()
  const folder = openFolder()
  const startCmd = `echo done > ${folder}/done`
  await addTemplate(parts, 'daemon', { env: { HOME: '/tmp' }, startCmd, readyCmd: `test -s ${folder}/done` })
  await fill(parts, ['daemon'])
  await until('one waits', () => parts.warm.figures().daemon?.waiting === 1)
  const [id] = await waiting(parts)
  // Time for what would find it of no use.
  await sleep(300)
  const { sandbox } = await create(parts, { template: 'daemon' })
  expect(sandbox.id).toBe(id)
})

test('one that the runtime reports as gone is replaced', async () => {
  const parts = await start()
  await fill(parts)
  await until('one waits', async () => (await waiting(parts)).length === 1)
  const [id] = await waiting(parts)
  await endBehindItsBack(parts, id!)
  parts.warm.lost(id!)
  await until('another waits', async () => (await waiting(parts)).some((each) => each !== id))
})

test('nobody takes one for left over between its claim and its row', async () => {
  const parts = await start()
  await fill(parts)
  await until('one waits', async () => (await waiting(parts)).length === 1)
  const [id] = await waiting(parts)
  const { store } = parts.control
  const sandboxes: typeof store.sandboxes = {
    ...store.sandboxes,
    async create(...row) {
      await reconcile(parts.control, signal())
      await store.sandboxes.create(...row)
    },
  }
  const control = { ...parts.control, store: { ...store, sandboxes } }
  const { sandbox } = await create({ ...parts, control })
  expect(sandbox.id).toBe(id)
  expect(await said(parts, sandbox, 'echo lives')).toBe('lives')
  expect(await store.warmGuests.list()).not.toContain(id)
  const [template] = await store.templates.list({ teamId: null })
  expect(template?.spawnCount).toBe(1)
})

test('a template that is deleted takes with it what waits of it, also where its image stays', async () => {
  const parts = await start()
  const { image } = await addTemplate(parts, 'other', {})
  await fill(parts, ['other'])
  await until('one waits', () => parts.warm.figures().other?.waiting === 1)
  const layer = { key: 'k', teamId: 'team', image: image!, runtime: 'process', defaults: noDefaults }
  const times = { createdAt: 0, lastUsedAt: 0 }
  await parts.control.store.layers.put({ ...layer, ...times, parent: null, sizeBytes: 1 })
  await deleteTemplate(parts.control, { teamId: 'team', identifier: 'other' }, signal())
  expect(await parts.guests()).toEqual([])
  expect(await parts.control.store.warmGuests.list()).toEqual([])
})

test('what waits of a build goes once its tag stands for another', async () => {
  vi.useFakeTimers({ toFake: ['performance'], shouldAdvanceTime: true })
  onTestFinished(() => void vi.useRealTimers())
  const parts = await start()
  await addTemplate(parts, 'other', {})
  await fill(parts, ['other'])
  await until('one waits', () => parts.warm.figures().other?.waiting === 1)
  // It is known to have had the tag.
  vi.advanceTimersByTime(31_000)
  parts.warm.claim(await kindOf(parts, 'base'))
  await sleep(200)
  const build = buildOf({ id: 'newer', templateId: 'other', defaults: noDefaults })
  await parts.control.store.builds.create(build, {})
  await parts.control.store.tags.assign('other', ['default'], build.id, 2)
  vi.advanceTimersByTime(31_000)
  parts.warm.claim(await kindOf(parts, 'base'))
  await until('it is gone', () => parts.warm.figures().other === undefined)
})

test('a kind that is kept is not forgotten over many others, though its guest is claimed just now', async () => {
  const parts = await start()
  await fill(parts)
  await until('one waits', () => parts.warm.figures().base?.waiting === 1)
  const kind = await kindOf(parts, 'base')
  const id = parts.warm.claim(kind)!
  for (let memoryMb = 1; memoryMb <= 300; memoryMb++) parts.warm.claim({ ...kind, memoryMb })
  await until('another waits', () => parts.warm.figures().base?.waiting === 1)
  await parts.runtime.destroy((await parts.warm.take(id, signal()))!, signal())
  parts.warm.putBack(id)
})

test('an image that goes takes with it what waits of it', async () => {
  const parts = await start()
  const { image } = await addTemplate(parts, 'other', {})
  await fill(parts, ['other'])
  await until('one waits', async () => (await waiting(parts)).length === 1)
  await parts.control.node.images.remove(image!, signal()).catch(() => {})
  expect(await parts.guests()).toEqual([])
  expect(await parts.control.store.warmGuests.list()).toEqual([])
})

test('an end leaves none, and a create that is refused gives its guest back', async () => {
  const parts = await start()
  const end = await fill(parts)
  await until('one waits', async () => (await waiting(parts)).length === 1)
  const [id] = await waiting(parts)
  const blue = { id: 'blue', name: 'blue', slug: 'blue', createdAt: 0, limits: { lifetimeS: 10 } }
  await parts.control.store.teams.create(blue)
  await expect(create(parts, { teamId: 'blue' })).rejects.toMatchObject({ code: 'invalid_argument' })
  expect(parts.warm.owns(id!)).toBe(true)
  const { sandbox } = await create(parts)
  expect(sandbox.id).toBe(id)
  await killSandbox(parts.control, { id: sandbox.id, teamId: 'team' }, signal())
  await end()
  expect(await waiting(parts)).toEqual([])
})

test('what a crash has left waiting goes with the next reconciliation, what was claimed stays', async () => {
  const parts = await start()
  await fill(parts)
  await until('one waits', async () => (await waiting(parts)).length === 1)
  const { sandbox } = await create(parts)
  await until('another waits', async () => (await waiting(parts)).length === 1)
  const next = { ...parts.control, node: { ...parts.control.node, owns: () => false } }
  await reconcile(next, signal())
  expect(await parts.guests()).toEqual([sandbox.id])
  expect(await parts.control.store.warmGuests.list()).toEqual([])
})
