import { existsSync } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { connect as connectTcp } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { agentBinary } from '../../../tests/support/agent.ts'
import type { GuestHandle, Runtime } from '../../domain/runtime.ts'
import { exec } from '../../guest/exec.ts'
import { hello } from '../../guest/hello.ts'
import { sleep } from '../../lib/deadline.ts'
import { newId } from '../../lib/ids.ts'
import { silentLog } from '../../lib/log.ts'
import { guestOf, guestSpec, newImage, run, watch } from '../tools.suite.ts'
import type { Faults } from './faults.ts'
import { findProcess, guestProcesses } from './proc-table.ts'
import { createProcessRuntime } from './runtime.ts'

const patience = () => AbortSignal.timeout(20_000)
const instanceId = newId()
const root = join(tmpdir(), `e2b-process-${instanceId}`)
const python = '/usr/bin/python3'
const memory = { memory: true }
const noMemory = { memory: false }

function create(faults: Faults = {}): Runtime {
  const shared = { guestBinary: agentBinary, instanceId, log: silentLog }
  return createProcessRuntime({ ...shared, acknowledgeNoIsolation: true, faults })
}

const runtime = create()
const start = (by = runtime) => by.start(guestSpec('none'), patience())
const condition = (handle: GuestHandle) => create().recover(handle, patience())
const stateFile = (handle: GuestHandle) => join(root, handle.sandboxId, 'state.json')
/** Writes into a guest's record what a crash would have left there. */
const record = async (handle: GuestHandle, change: object) => {
  const state = JSON.parse(await readFile(stateFile(handle), 'utf8'))
  await writeFile(stateFile(handle), JSON.stringify({ ...state, ...change }))
}
const processes = ({ sandboxId, state }: GuestHandle) =>
  guestProcesses(
    { pid: Number(state.pid), startTicks: Number(state.startTicks) },
    join(root, sandboxId, 'home'),
  )
const states = async (handle: GuestHandle) => (await processes(handle)).map(({ state }) => state)
/** Whether of the agent, a supervisor, a Python and its child the third waits for the fourth to run a program. */
const hasVforked = async (handle: GuestHandle) => {
  const found = await processes(handle)
  const waiting = found.find(({ state, pid }) => state === 'D' && found.some(({ parent }) => parent === pid))
  if (found.length !== 4 || waiting === undefined) return false
  return (await readFile(`/proc/${waiting.pid}/comm`, 'utf8')).startsWith('python')
}
/** Looks until what it looks for is there. */
const until = async (isThere: () => Promise<boolean>) => {
  const late = patience()
  while (!(await isThere())) await sleep(10, late)
}

afterEach(async () => {
  for (const handle of await runtime.list(patience())) await runtime.destroy(handle, patience())
  for (const image of await runtime.images.list(patience())) await runtime.images.remove(image, patience())
})
afterAll(async () => {
  await runtime.close()
  expect(existsSync(root)).toBe(false)
})

describe('a pause with memory', () => {
  test('keeps listeners and connections to them', async () => {
    const handle = await start()
    const serve = `
      const server = require('node:net').createServer((socket) => socket.pipe(socket))
      server.listen(0, '127.0.0.1', () => require('node:fs').writeFileSync('port', String(server.address().port)))`
    await run(
      guestOf(runtime, handle),
      `cd; '${process.execPath}' -e "${serve}" >/dev/null 2>&1 & while ! [ -s ~/port ]; do sleep 0.01; done`,
    )
    const port = Number((await run(guestOf(runtime, handle), 'cat ~/port')).stdout)
    const socket = connectTcp(port, '127.0.0.1').setEncoding('utf8')
    const echo = async (text: string) => {
      const answer = new Promise((resolve) => socket.once('data', resolve))
      socket.write(text)
      return await answer
    }
    expect(await echo('before')).toBe('before')
    await runtime.pause(handle, memory, patience())
    const during = echo('during')
    await runtime.resume(handle, patience())
    expect(await during).toBe('during')
    socket.destroy()
  })

  test('reaches processes that fork all the time, and those that have lost their parents', async () => {
    const handle = await start()
    const fork = 'setsid sh -c "while :; do (sleep 0.02 &); /bin/true; done" >/dev/null 2>&1 &'
    await run(guestOf(runtime, handle), `${fork} ${fork} true`)
    await until(async () => (await processes(handle)).length > 3)
    await runtime.pause(handle, memory, patience())
    const before = await processes(handle)
    // D: it waits in vfork for a child that is stopped, and stops before it runs any code of its program.
    expect(before.filter(({ state }) => state !== 'T' && state !== 'D')).toEqual([])
    await sleep(100)
    expect((await processes(handle)).map(({ pid }) => pid)).toEqual(before.map(({ pid }) => pid))
    await runtime.resume(handle, patience())
    await until(async () => (await processes(handle)).some(({ pid }) => !before.some((p) => p.pid === pid)))
  })

  test('is not seen by a shell that waits for its jobs', async () => {
    const handle = await start()
    const { events } = await exec(
      guestOf(runtime, handle),
      {
        cmd: '/bin/bash',
        args: ['-mc', 'touch ~/begun; sleep 1; echo status $?'],
        env: {},
        stdin: false,
        pty: { cols: 80, rows: 24 },
      },
      patience(),
    )
    await until(async () => existsSync(join(root, handle.sandboxId, 'home', 'begun')))
    await runtime.pause(handle, memory, patience())
    await runtime.resume(handle, patience())
    let output = ''
    for await (const event of events) if (event.type === 'pty') output += event.bytes.toString()
    expect(output).toBe('status 0\r\n')
  })

  test.runIf(existsSync(python))('does not hang on a parent that waits in vfork', async () => {
    const handle = await start()
    const spawn = `import os; os.posix_spawn("/bin/sh", ["sh", "-c", "echo done > ran"], {}, file_actions=[(os.POSIX_SPAWN_OPEN, 0, "fifo", os.O_RDONLY, 0)])`
    await run(guestOf(runtime, handle), `cd; mkfifo fifo; ${python} -c '${spawn}' >/dev/null 2>&1 &`)
    await until(() => hasVforked(handle))
    await runtime.pause(handle, memory, patience())
    // The agent, the supervisor of the command, and Python's child.
    expect((await states(handle)).sort()).toEqual(['D', 'T', 'T', 'T'])
    await runtime.resume(handle, patience())
    const open = 'cd; exec 3<>fifo; while ! [ -s ran ]; do sleep 0.01; done; cat ran'
    expect((await run(guestOf(runtime, handle), open)).stdout).toBe('done\n')
  })

  test('ends with the agent, which is reported; the files stay', async () => {
    const watching = watch(runtime)
    const handle = await start()
    await run(guestOf(runtime, handle), 'echo kept > ~/file')
    await runtime.pause(handle, memory, patience())
    process.kill(Number(handle.state.pid), 'SIGKILL')
    await watching.seen('guest-gone', handle.sandboxId)
    watching.stop()
    expect(await condition(handle)).toBe('stopped')
    await runtime.pause(handle, noMemory, patience())
    const resumed = await runtime.resume(handle, patience())
    expect(resumed.booted).toBe(true)
    expect((await run(guestOf(runtime, resumed.handle), 'cat ~/file')).stdout).toBe('kept\n')
  })
})

test('a guest without an agent that listens is cut off: a pause without memory keeps its files', async () => {
  const handle = await start()
  await run(guestOf(runtime, handle), 'echo kept > ~/file')
  await rm(join(root, handle.sandboxId, 'agent/agent.sock'))
  expect(await condition(handle)).toBe('cut-off')
  await runtime.pause(handle, noMemory, patience())
  expect(await condition(handle)).toBe('stopped')
  const resumed = await runtime.resume(handle, patience())
  expect((await run(guestOf(runtime, resumed.handle), 'cat ~/file')).stdout).toBe('kept\n')
})

describe('a pause without memory', () => {
  test('leaves no process, whatever it was before', async () => {
    for (const before of [undefined, memory]) {
      const handle = await start()
      const detach = 'setsid sh -c "sleep 1000 >/dev/null 2>&1 & true"'
      await run(guestOf(runtime, handle), detach)
      if (before) await runtime.pause(handle, before, patience())
      // The agent, the supervisor of what the command has left, and that.
      expect(await processes(handle)).toHaveLength(3)
      await runtime.pause(handle, noMemory, patience())
      expect(await processes(handle)).toEqual([])
    }
  })

  test('and changes that are asked for at the same time are made one after another', async () => {
    const slow = create({ snapshotDelayMs: 100 })
    const handle = await start(slow)
    const image = newImage()
    const [, , , resumed] = await Promise.all([
      slow.snapshot(handle, image, patience()),
      slow.pause(handle, memory, patience()),
      slow.pause(handle, noMemory, patience()),
      slow.resume(handle, patience()),
      slow.pause(handle, memory, patience()),
    ])
    expect(resumed.booted).toBe(true)
    expect(await condition(resumed.handle)).toBe('paused')
    expect(await slow.images.list(patience())).toEqual([image])
  })

  test('waits for its turn no longer than its signal allows', async () => {
    const slow = create({ snapshotDelayMs: 60_000 })
    const handle = await start(slow)
    const leaving = new AbortController()
    const snapshot = slow.snapshot(handle, newImage(), leaving.signal).catch((error) => error)
    await expect(slow.pause(handle, noMemory, AbortSignal.timeout(50))).rejects.toMatchObject({
      code: 'deadline_exceeded',
    })
    leaving.abort()
    expect(await snapshot).toMatchObject({ code: 'canceled' })
    expect(await condition(handle)).toBe('running')
  })
})

describe('after a crash', () => {
  test.each([
    ['resume', (handle: GuestHandle) => runtime.resume(handle, patience()), 'running'],
    ['pause', (handle: GuestHandle) => runtime.pause(handle, noMemory, patience()), 'stopped'],
    ['snapshot', (handle: GuestHandle) => runtime.snapshot(handle, newImage(), patience()), 'stopped'],
  ] as const)('in a boot the guest is stopped, and %s ends what is left of it', async (_, change, after) => {
    const handle = await start()
    const { boot } = await hello(guestOf(runtime, handle), patience())
    await record(handle, { phase: 'booting' })
    expect(await condition(handle)).toBe('stopped')
    expect((await hello(guestOf(runtime, handle), patience())).boot).toBe(boot)
    const answer = await change(handle)
    expect(await findProcess(Number(handle.state.pid))).toBeUndefined()
    const isBooted = answer !== undefined && 'handle' in answer
    if (isBooted) expect(answer.booted).toBe(true)
    expect(await condition(isBooted ? answer.handle : handle)).toBe(after)
  })

  test('before the boot is known, the guest is stopped, and a resume tells of it', async () => {
    const handle = await start()
    await runtime.pause(handle, noMemory, patience())
    const booted = await runtime.resume(handle, patience())
    const { boot } = await hello(guestOf(runtime, booted.handle), patience())
    expect(await condition(handle)).toBe('stopped')
    expect(await create().resume(handle, patience())).toEqual(booted)
    expect((await hello(guestOf(runtime, booted.handle), patience())).boot).toBe(boot)
  })

  test('in a stop, the guest is what its processes are', async () => {
    const handle = await start()
    await record(handle, { phase: 'stopping' })
    expect(await condition(handle)).toBe('running')
    process.kill(Number(handle.state.pid), 'SIGSTOP')
    await until(async () => (await states(handle)).every((state) => state === 'T'))
    expect(await condition(handle)).toBe('paused')
    expect((await runtime.resume(handle, patience())).booted).toBe(false)
    expect(await condition(handle)).toBe('running')

    await record(handle, { phase: 'stopping' })
    process.kill(Number(handle.state.pid), 'SIGKILL')
    await until(async () => (await processes(handle)).length === 0)
    expect(await condition(handle)).toBe('stopped')
    expect((await runtime.resume(handle, patience())).booted).toBe(true)
  })

  test('in a pause, a resume lets all go on, and a pause stops the rest', async () => {
    const handle = await start()
    await run(guestOf(runtime, handle), 'sleep 1000 >/dev/null 2>&1 &')
    process.kill(Number(handle.state.pid), 'SIGSTOP')
    await until(async () => (await states(handle)).includes('T'))
    expect(await condition(handle)).toBe('paused')
    await create().pause(handle, memory, patience())
    expect(await states(handle)).toEqual(['T', 'T', 'T'])
    await create().resume(handle, patience())
    expect(await states(handle)).not.toContain('T')
  })

  test('a record without a phase is that of a live guest', async () => {
    const handle = await start()
    await record(handle, { phase: undefined })
    expect(await condition(handle)).toBe('running')
  })
})

describe('faults', () => {
  test('failPause leaves a guest running', async () => {
    const handle = await start()
    await run(guestOf(runtime, handle), 'sleep 1000 >/dev/null 2>&1 &')
    const failing = create({ failPause: true })
    for (const options of [memory, noMemory]) {
      await expect(failing.pause(handle, options, patience())).rejects.toMatchObject({ code: 'internal' })
      expect(await states(handle)).toHaveLength(3)
      expect(await states(handle)).not.toContain('T')
      expect(await condition(handle)).toBe('running')
    }
  })

  test.each([
    [memory, 'paused'],
    [noMemory, 'stopped'],
  ] as const)('failResume leaves a guest as it was: %o', async (options, before) => {
    const handle = await start()
    await runtime.pause(handle, options, patience())
    const failing = create({ failResume: true })
    await expect(failing.resume(handle, patience())).rejects.toMatchObject({ code: 'internal' })
    expect(await condition(handle)).toBe(before)
    expect(await processes(handle)).toHaveLength(options.memory ? 1 : 0)
    expect((await runtime.resume(handle, patience())).booted).toBe(!options.memory)
  })

  test('pauseDelayMs and resumeDelayMs leave time to give up', async () => {
    const slow = create({ pauseDelayMs: 60_000, resumeDelayMs: 60_000 })
    const handle = await start()
    const late = { code: 'deadline_exceeded' }
    await expect(slow.pause(handle, memory, AbortSignal.timeout(50))).rejects.toMatchObject(late)
    expect(await condition(handle)).toBe('running')
    await runtime.pause(handle, memory, patience())
    await expect(slow.resume(handle, AbortSignal.timeout(50))).rejects.toMatchObject(late)
    expect(await condition(handle)).toBe('paused')
  })

  test('dieAfterMs ends a guest that has booted from its files too', async () => {
    const handle = await start()
    await runtime.pause(handle, noMemory, patience())
    const dying = create({ dieAfterMs: 50 })
    const watching = watch(dying)
    await dying.resume(handle, patience())
    await watching.seen('guest-gone', handle.sandboxId)
    watching.stop()
  })
})
