import { readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { anySandbox, startControl } from '../../tests/support/control.ts'
import { ServerError } from '../domain/error.ts'
import type { LifecycleEventType } from '../domain/lifecycle-event.ts'
import type { StoredLogEntry } from '../domain/sandbox-log.ts'
import { exec } from '../guest/exec.ts'
import { connectSandbox, resumeSandbox } from './connect-sandbox.ts'
import type { ControlContext } from './context.ts'
import { type CreateSandboxRequest, createSandbox } from './create-sandbox.ts'
import { killSandbox } from './kill-sandbox.ts'
import { pauseSandbox } from './pause-sandbox.ts'
import { reconcile } from './reconcile.ts'
import { refreshSandbox, setSandboxTimeout } from './set-timeout.ts'
import { createWakeSandbox } from './wake-sandbox.ts'

const signal = () => AbortSignal.timeout(30_000)
const options = () => ({ signal: signal(), phase: () => {} })
const again = { timeoutS: 60, memory: true }

async function started(control: ControlContext, request: Partial<CreateSandboxRequest> = {}) {
  const { id, teamId } = await createSandbox(control, { ...anySandbox, ...request }, options())
  return { id, teamId }
}

const stateOf = async ({ store }: ControlContext, id: string) => (await store.sandboxes.find(id))?.state
const typesOf = async ({ store }: ControlContext, sandboxId: string): Promise<LifecycleEventType[]> =>
  (await store.events.list({ sandboxId, limit: 100 })).map(({ type }) => type)

/** What the process runtime has of a guest. */
const guestDir = ({ store }: ControlContext, id: string) =>
  join(tmpdir(), `e2b-process-${store.instanceId}`, id)

test('a pause that fails leaves the sandbox running and open to traffic, and says so', async () => {
  await using parts = await startControl({ faults: { failPause: true } })
  const ref = await started(parts.control)
  for (const memory of [true, false]) {
    await expect(pauseSandbox(parts.control, ref, { memory }, signal())).rejects.toMatchObject({
      code: 'internal',
    })
    expect(await stateOf(parts.control, ref.id)).toBe('running')
    expect(parts.directory.find(ref.id)).toBeDefined()
  }
  expect(await typesOf(parts.control, ref.id)).toEqual(['created', 'failed', 'failed'])
  const [last] = await parts.control.store.events.list({ sandboxId: ref.id, order: 'desc', limit: 1 })
  expect(last).toMatchObject({
    reason: 'pause',
    detail: { message: 'The sandbox could not be paused (requested fault).', processesLost: false },
  })
})

test('a resume that fails leaves the sandbox paused; the next one succeeds', async () => {
  const faults = { failResume: false }
  await using parts = await startControl({ faults })
  const ref = await started(parts.control)
  await pauseSandbox(parts.control, ref, { memory: false }, signal())
  faults.failResume = true
  await expect(connectSandbox(parts.control, ref, again, options())).rejects.toMatchObject({
    code: 'internal',
  })
  expect(await stateOf(parts.control, ref.id)).toBe('paused')
  expect(parts.directory.find(ref.id)).toBeUndefined()
  faults.failResume = false
  expect(await connectSandbox(parts.control, ref, again, options())).toMatchObject({ resumed: true })
  expect(await typesOf(parts.control, ref.id)).toEqual(['created', 'paused', 'failed', 'resumed'])
  const [failed] = await parts.control.store.events.list({ sandboxId: ref.id, types: ['failed'], limit: 1 })
  expect(failed).toMatchObject({ reason: 'resume', detail: { message: expect.stringContaining('resumed') } })
})

test('a runtime that is away in the middle: the row keeps the intent, and the next pass settles it', async () => {
  await using parts = await startControl()
  const ref = await started(parts.control)
  const away = async () => {
    throw new ServerError('unavailable', 'away')
  }
  const control = { ...parts.control, node: { ...parts.control.node, pause: away, recover: away } }
  await expect(pauseSandbox(control, ref, { memory: true }, signal())).rejects.toMatchObject({
    code: 'unavailable',
  })
  expect(await stateOf(parts.control, ref.id)).toBe('pausing')
  await reconcile(parts.control, signal())
  expect(await stateOf(parts.control, ref.id)).toBe('paused')
  expect(await typesOf(parts.control, ref.id)).toEqual(['created', 'paused'])
})

test('of pauses at once one pauses and all succeed; a later one is a conflict, with its text', async () => {
  await using parts = await startControl()
  const ref = await started(parts.control)
  const pauses = Array.from({ length: 20 }, () =>
    pauseSandbox(parts.control, ref, { memory: true }, signal()),
  )
  await Promise.all(pauses)
  await expect(pauseSandbox(parts.control, ref, { memory: true }, signal())).rejects.toMatchObject({
    code: 'conflict',
    message: `Error pausing sandbox - sandbox '${ref.id}' is already paused`,
  })
  expect(await typesOf(parts.control, ref.id)).toEqual(['created', 'paused'])
})

test('a request whose time is over before its turn has no effect', async () => {
  await using parts = await startControl({ faults: { pauseDelayMs: 300 } })
  const ref = await started(parts.control)
  const pausing = pauseSandbox(parts.control, ref, { memory: true }, signal())
  const leaving = new AbortController()
  const waiting = connectSandbox(parts.control, ref, again, { signal: leaving.signal })
  leaving.abort()
  await expect(waiting).rejects.toMatchObject({ name: 'AbortError' })
  await pausing
  await parts.control.lifecycle.idle()
  expect(await stateOf(parts.control, ref.id)).toBe('paused')
})

test('another team’s sandbox is not found, whatever is asked of it', async () => {
  await using parts = await startControl()
  const { control } = parts
  const { id } = await started(control)
  const foreign = { teamId: 'other', id }
  const asked = [
    pauseSandbox(control, foreign, { memory: true }, signal()),
    connectSandbox(control, foreign, again, options()),
    resumeSandbox(control, foreign, { ...again, autoPause: undefined }, options()),
    setSandboxTimeout(control, foreign, 10, signal()),
    refreshSandbox(control, foreign, 10, signal()),
    killSandbox(control, foreign, signal()),
  ]
  for (const outcome of await Promise.allSettled(asked)) {
    expect(outcome).toMatchObject({
      status: 'rejected',
      reason: { code: 'not_found', message: `Sandbox "${id}" doesn't exist or you don't have access to it` },
    })
  }
  expect(await stateOf(control, id)).toBe('running')
})

test('a resume of a running sandbox is a conflict; of a paused one it may change what its deadline does', async () => {
  await using parts = await startControl()
  const ref = await started(parts.control)
  const resume = (autoPause: boolean | undefined) =>
    resumeSandbox(parts.control, ref, { ...again, autoPause }, options())
  await expect(resume(undefined)).rejects.toMatchObject({ code: 'conflict' })
  await pauseSandbox(parts.control, ref, { memory: true }, signal())
  expect(await resume(true)).toMatchObject({ state: 'running', onTimeout: 'pause' })
})

test('what is asked with an Idempotency-Key is done once', async () => {
  await using parts = await startControl()
  const request = { ...anySandbox, idempotencyKey: 'once', metadata: { a: 'b' } }
  const made = await Promise.all(
    Array.from({ length: 5 }, () => createSandbox(parts.control, request, options())),
  )
  expect(new Set(made.map(({ id }) => id)).size).toBe(1)
  expect(await parts.guests()).toHaveLength(1)
  await expect(createSandbox(parts.control, { ...request, timeoutS: 61 }, options())).rejects.toMatchObject({
    code: 'conflict',
  })
  await killSandbox(parts.control, made[0]!, signal())
  expect((await createSandbox(parts.control, request, options())).id).not.toBe(made[0]!.id)
})

test('traffic wakes what may be woken, once, and only with its tokens', async () => {
  await using parts = await startControl()
  const { control } = parts
  const wake = createWakeSandbox(control, (id) => parts.directory.find(id) !== undefined)
  const request = { port: 8000, accessToken: undefined, trafficAccessToken: undefined }
  const asleep = async (settings: Partial<CreateSandboxRequest>, memory = true) => {
    const ref = await started(control, settings)
    await pauseSandbox(control, ref, { memory }, signal())
    return ref.id
  }
  const mayWake = { onTimeout: 'pause', autoResume: true } as const

  const open = await asleep({ ...mayWake, timeoutS: 20 })
  const woken = await Promise.all(Array.from({ length: 10 }, () => wake(open, request, signal())))
  expect(woken.every((isAwake) => isAwake)).toBe(true)
  expect(await typesOf(control, open)).toEqual(['created', 'paused', 'resumed'])
  const row = await control.store.sandboxes.find(open)
  expect(row!.endAt - row!.startedAt).toBe(300_000)

  expect(await wake(await asleep({ autoResume: false }), request, signal())).toBe(false)
  expect(await wake(await asleep(mayWake, false), request, signal())).toBe(false)
  expect(await wake('inothing', request, signal())).toBe(false)
  expect(await wake('../no', request, signal())).toBe(false)

  const secured = await asleep({ ...mayWake, secure: true })
  const { envdAccessToken } = (await control.store.sandboxes.find(secured))!
  const envd = { ...request, port: 49_983 }
  await expect(wake(secured, envd, signal())).rejects.toMatchObject({ code: 'forbidden' })
  await expect(wake(secured, { ...envd, accessToken: 'wrong' }, signal())).rejects.toMatchObject({
    code: 'forbidden',
  })
  expect(await wake(secured, { ...envd, accessToken: envdAccessToken! }, signal())).toBe(true)
})

test('a guest without an agent that listens is never lost: its sandbox is found paused, with its files', async () => {
  await using parts = await startControl()
  const { control, runtime } = parts
  const states = [
    ['running', null],
    ['pausing', true],
    ['pausing', false],
    ['paused', false],
    ['resuming', true],
    ['resuming', false],
  ] as const
  for (const [state, pausedWithMemory] of states) {
    const { id } = await started(control, { onTimeout: state === 'running' ? 'pause' : 'kill' })
    const { handle } = (await control.store.sandboxes.find(id))!
    await writeFile(join(guestDir(control, id), 'home/file'), 'kept')
    await rm(join(guestDir(control, id), 'agent/agent.sock'))
    await control.store.sandboxes.update(id, { state, pausedWithMemory })
    await reconcile(control, signal())
    expect(await stateOf(control, id), `${state} ${pausedWithMemory}`).toBe('paused')
    expect(await runtime.recover(handle!, signal())).toBe('stopped')
    await connectSandbox(control, { teamId: 'team', id }, again, options())
    expect(await readFile(join(guestDir(control, id), 'home/file'), 'utf8')).toBe('kept')
    await killSandbox(control, { teamId: 'team', id }, signal())
  }
})

test('a paused guest that boots all the same, without an agent, is resumed from its files', async () => {
  await using parts = await startControl()
  const { control, runtime } = parts
  const ref = await started(control)
  await pauseSandbox(control, ref, { memory: false }, signal())
  const { handle } = (await control.store.sandboxes.find(ref.id))!
  // As a boot that ends only when its resume was given up.
  const booted = await runtime.resume(handle!, signal())
  await control.store.sandboxes.update(ref.id, { handle: booted.handle })
  await rm(join(guestDir(control, ref.id), 'agent/agent.sock'))
  expect((await connectSandbox(control, ref, again, options())).resumed).toBe(true)
  expect(await stateOf(control, ref.id)).toBe('running')
})

test('a guest that dies: its sandbox ends, or is kept as files where its deadline is a pause', async () => {
  await using parts = await startControl()
  const { control, runtime } = parts
  const passing = await started(control)
  const persistent = await started(control, { onTimeout: 'pause' })
  for (const { id } of [passing, persistent]) {
    const { handle } = (await control.store.sandboxes.find(id))!
    // As a restart of the host leaves it: the files are there and nothing runs.
    await runtime.pause(handle!, { memory: false }, signal())
  }
  await reconcile(control, signal())
  expect(await stateOf(control, passing.id)).toBeUndefined()
  expect(await stateOf(control, persistent.id)).toBe('paused')
  const [last] = await control.store.events.list({ sandboxId: passing.id, order: 'desc', limit: 1 })
  expect(last).toMatchObject({ type: 'killed', reason: 'ended' })
  expect((await connectSandbox(control, persistent, again, options())).resumed).toBe(true)
})

test('what runs in a sandbox that is resumed, or found again, is in its log from then on', async () => {
  const entries: StoredLogEntry[] = []
  await using parts = await startControl({ logs: { write: (entry) => entries.push(entry) } })
  const { control, runtime } = parts
  const ref = await started(control)
  const handle = (await control.store.sandboxes.find(ref.id))!.handle!
  const guest = { connect: (until?: AbortSignal) => runtime.connect(handle, until ?? signal()) }
  const ticking = {
    cmd: '/bin/sh',
    args: ['-c', 'while :; do echo tick; sleep 0.1; done'],
    env: {},
    stdin: false,
  }
  const { pid, events } = await exec(guest, ticking, signal())
  await events.return()
  const tick = expect.objectContaining({
    sandboxId: ref.id,
    teamId: 'team',
    message: 'tick',
    fields: { logger: 'process', pid: String(pid), stream: 'stdout' },
  })
  expect(entries).toEqual([])

  await pauseSandbox(control, ref, { memory: true }, signal())
  await connectSandbox(control, ref, again, options())
  await expect.poll(() => entries, { timeout: 20_000 }).toContainEqual(tick)

  await control.node.withdraw(ref.id)
  await new Promise((resolve) => setTimeout(resolve, 50))
  entries.length = 0
  await reconcile(control, signal())
  await expect.poll(() => entries, { timeout: 20_000 }).toContainEqual(tick)
})

test('whoever finds a sandbox paused has a resume for an answer, also if another’s came first', async () => {
  await using parts = await startControl()
  const { control } = parts
  const ref = await started(control)
  const connect = (request = {}) => connectSandbox(control, ref, { ...again, ...request }, options())
  const oldResume = (memory: boolean) =>
    resumeSandbox(control, ref, { timeoutS: 120, memory, autoPause: true }, options())
  await pauseSandbox(control, ref, { memory: true }, signal())
  const [first, shared, late, files, oldFiles] = await Promise.allSettled([
    connect(),
    connect({ timeoutS: 90 }),
    oldResume(true),
    connect({ memory: false }),
    oldResume(false),
  ])
  expect(first).toMatchObject({ value: { resumed: true } })
  expect(shared).toMatchObject({ value: { resumed: true } })
  expect(late).toMatchObject({ value: { id: ref.id, onTimeout: 'pause' } })
  for (const refused of [files, oldFiles]) expect(refused).toMatchObject({ reason: { code: 'conflict' } })
  const events = await control.store.events.list({ sandboxId: ref.id, limit: 100 })
  expect(events.filter(({ type }) => type === 'resumed')).toHaveLength(1)
  const row = await control.store.sandboxes.find(ref.id)
  expect(row!.endAt - row!.startedAt).toBeGreaterThan(60_000)
  // Those that found it running.
  expect(await connect()).toMatchObject({ resumed: false })
  expect(await connect({ memory: false })).toMatchObject({ resumed: false })
  await expect(oldResume(true)).rejects.toMatchObject({ code: 'conflict' })
})

test('of a guest that has died unnoticed a pause with memory is recorded as one without, and says so', async () => {
  await using parts = await startControl()
  const { control } = parts
  const ref = await started(control)
  const { handle } = (await control.store.sandboxes.find(ref.id))!
  process.kill(Number(handle!.state.pid), 'SIGKILL')
  await expect.poll(() => control.node.recover(handle!, signal())).toBe('stopped')
  await pauseSandbox(control, ref, { memory: true }, signal())
  expect(await control.store.sandboxes.find(ref.id)).toMatchObject({
    state: 'paused',
    pausedWithMemory: false,
  })
  const [paused] = await control.store.events.list({ sandboxId: ref.id, types: ['paused'], limit: 1 })
  expect(paused?.detail).toMatchObject({ memory: false, memoryLost: true })
  expect(await connectSandbox(control, ref, again, options())).toMatchObject({ resumed: true })
})

/** The control plane with another node. */
const withNode = (control: ControlContext, node: Partial<ControlContext['node']>): ControlContext => ({
  ...control,
  node: { ...control.node, ...node },
})

test('a paused sandbox whose guest was cut off loses its memory, in the record first', async () => {
  await using parts = await startControl()
  const ref = await started(parts.control)
  await pauseSandbox(parts.control, ref, { memory: true }, signal())
  const memoryOf = async () => (await parts.control.store.sandboxes.find(ref.id))?.pausedWithMemory
  expect(await memoryOf()).toBe(true)
  const seen: unknown[] = []
  const control = withNode(parts.control, {
    recover: async () => 'cut-off',
    pause: async (...asked) => {
      seen.push(asked[1], await memoryOf())
      return await parts.control.node.pause(...asked)
    },
  })
  await reconcile(control, signal())
  expect(seen).toEqual([{ memory: false }, false])
  expect(await memoryOf()).toBe(false)
  const paused = await parts.control.store.events.list({ sandboxId: ref.id, types: ['paused'], limit: 2 })
  const lost = paused.filter(({ detail }) => detail?.memoryLost === true)
  expect(lost).toHaveLength(1)
  expect(await stateOf(parts.control, ref.id)).toBe('paused')
})

test('a pause that fails after it has ended the guest: the record says that its memory is gone before another boots', async () => {
  await using parts = await startControl()
  const ref = await started(parts.control)
  const memoryOf = async () => (await parts.control.store.sandboxes.find(ref.id))?.pausedWithMemory
  const seen: unknown[] = []
  const control = withNode(parts.control, {
    pause: async (handle, _options, until) => {
      await parts.control.node.pause(handle, { memory: false }, until)
      throw new ServerError('internal', 'half a pause')
    },
    resume: async (...asked) => {
      seen.push(await memoryOf())
      return await parts.control.node.resume(...asked)
    },
  })
  await expect(pauseSandbox(control, ref, { memory: true }, signal())).rejects.toMatchObject({
    message: 'half a pause',
  })
  expect(seen).toEqual([false])
  expect(await stateOf(parts.control, ref.id)).toBe('running')
  expect(await memoryOf()).toBeNull()
  const [failed] = await parts.control.store.events.list({ sandboxId: ref.id, types: ['failed'], limit: 1 })
  expect(failed).toMatchObject({ reason: 'pause', detail: { processesLost: true } })
})
