/**
 * The runtime contract's test. Every runtime's own test file calls it; tests of a power are there where the runtime's
 * capabilities claim it.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { GuestHandle, GuestSpec, Runtime, RuntimeEvent } from '../domain/runtime.ts'
import { type ExecRequest, exec } from '../guest/exec.ts'
import type { Guest } from '../guest/guest.ts'
import { hello } from '../guest/hello.ts'
import { list as listProcesses } from '../guest/list.ts'
import { sleep } from '../lib/deadline.ts'
import { newId, newSandboxId } from '../lib/ids.ts'

export interface RuntimeSuite {
  name: string
  /** A new runtime over the same state each time, as a restarted server would make it */
  create: () => Runtime
  image: string
  /** Ends a guest behind the runtime's back */
  kill: (handle: GuestHandle) => Promise<void>
  /** Leaves what a crash in the middle of a start leaves */
  plantRemainder: (sandboxId: string) => Promise<void>
}

/** What a guest that ended by itself may be found as: runtimes differ in whether its file system is of use */
const dead = ['stopped', 'gone']
/** Longest time that anything in here may take, in milliseconds */
const patienceMs = 30_000
/** Without a word for this long, a process that counts every 10 ms stands still, in milliseconds */
const quietMs = 500
const patience = () => AbortSignal.timeout(patienceMs)

export function runRuntimeSuite(suite: RuntimeSuite): void {
  describe(`runtime contract: ${suite.name}`, () => {
    let runtime: Runtime
    const started = new Set<GuestHandle>()
    const snapshots = new Set<string>()
    const { capabilities } = suite.create()
    const canFreeze = capabilities.memoryPause !== 'none'
    /** Every way to pause that the runtime has */
    const pauses = canFreeze ? [{ memory: true }, { memory: false }] : [{ memory: false }]

    beforeAll(() => {
      runtime = suite.create()
    })
    afterEach(async () => {
      for (const handle of started) await runtime.destroy(handle, patience())
      started.clear()
      for (const image of snapshots) await runtime.images.remove(image, patience())
      snapshots.clear()
    })
    afterAll(() => runtime.close())

    const start = async (spec: Partial<GuestSpec> = {}, by = runtime) => {
      const handle = await by.start(guestSpec(suite.image, spec), patience())
      started.add(handle)
      return handle
    }
    const snapshot = async (handle: GuestHandle, image = newImage()) => {
      snapshots.add(image)
      await runtime.snapshot(handle, image, patience())
      return image
    }

    test('fingerprint says that it is usable, and on what', async () => {
      const fingerprint = await runtime.fingerprint(patience())
      expect(fingerprint).toMatchObject({ usable: true, detail: expect.stringMatching(/\.$/) })
      expect(fingerprint.cpuCount).toBeGreaterThan(0)
      expect(fingerprint.memoryMb).toBeGreaterThan(0)
      expect(Object.values(fingerprint.versions).every((version) => version !== '')).toBe(true)
    })

    test('a started guest answers at once and runs processes', async () => {
      const handle = await start()
      const guest = guestOf(runtime, handle)
      expect(await hello(guest, patience())).toMatchObject({ protocol: 1, configured: false, processes: 0 })
      expect(await run(guest, 'echo out; echo err >&2; exit 3')).toEqual({
        stdout: 'out\n',
        stderr: 'err\n',
        status: 'exit status 3',
      })
      expect(JSON.parse(JSON.stringify(handle))).toEqual(handle)
    })

    test('several guests start at once, each with its own agent and files', async () => {
      const handles = await Promise.all(Array.from({ length: 4 }, () => start()))
      const boots = await Promise.all(
        handles.map(async (handle) => (await hello(guestOf(runtime, handle), patience())).boot),
      )
      expect(new Set(boots).size).toBe(4)
      const [first, second] = handles.map((handle) => guestOf(runtime, handle))
      await run(first!, 'echo mine > ~/file')
      expect((await run(second!, 'cat ~/file')).status).toBe('exit status 1')
    })

    test('a second guest of the same name is a conflict and leaves the first alone', async () => {
      const handle = await start()
      await expect(start({ sandboxId: handle.sandboxId })).rejects.toMatchObject({ code: 'conflict' })
      expect((await hello(guestOf(runtime, handle), patience())).protocol).toBe(1)
    })

    test('an unknown image is not_found and leaves nothing', async () => {
      const sandboxId = newSandboxId()
      await expect(start({ sandboxId, image: 'e2b-server/nothing:here' })).rejects.toMatchObject({
        code: 'not_found',
      })
      expect(await ids(runtime)).not.toContain(sandboxId)
      expect(await runtime.images.inspect('e2b-server/nothing:here', patience())).toBeUndefined()
      expect(await runtime.images.inspect(suite.image, patience())).toBeDefined()
    })

    test('a sandbox id that could be a path is refused', async () => {
      for (const sandboxId of ['', '..', 'a/b', '-a', 'A']) {
        await expect(start({ sandboxId })).rejects.toMatchObject({ code: 'invalid_argument' })
      }
    })

    test.each([0, 1, 20, 80, 200])('a start that is given up after %i ms leaves nothing', async (afterMs) => {
      const sandboxId = newSandboxId()
      const leaving = new AbortController()
      const starting = runtime.start(guestSpec(suite.image, { sandboxId }), leaving.signal)
      const timer = setTimeout(() => leaving.abort(), afterMs)
      const outcome = await starting.catch((error) => error)
      clearTimeout(timer)
      // A start that wins the race is a guest like any other.
      if (!(outcome instanceof Error)) await runtime.destroy(outcome, patience())
      else expect(outcome).toMatchObject({ code: 'canceled' })
      expect(await ids(runtime)).not.toContain(sandboxId)
    })

    test('the end of a guest is reported, once, and an asked for end is not', async () => {
      const watching = watch(runtime)
      try {
        const [killed, destroyed, last] = [await start(), await start(), await start()]
        await runtime.destroy(destroyed, patience())
        await suite.kill(killed)
        await watching.seen('guest-gone', killed.sandboxId)
        await expect(runtime.connect(killed, patience())).rejects.toMatchObject({ code: 'unavailable' })
        await suite.kill(last)
        await watching.seen('guest-gone', last.sandboxId)
        expect(watching.events.filter(({ type }) => type === 'guest-gone')).toEqual([
          { type: 'guest-gone', sandboxId: killed.sandboxId },
          { type: 'guest-gone', sandboxId: last.sandboxId },
        ])
      } finally {
        watching.stop()
      }
    })

    test('destroy ends processes, frees everything and may be repeated', async () => {
      const handle = await start()
      const guest = guestOf(runtime, handle)
      // A process that has left its session and lost its parent.
      await run(guest, '(setsid sleep 1000 >/dev/null 2>&1 &) ; true')
      await runtime.destroy(handle, patience())
      await runtime.destroy(handle, patience())
      expect(await ids(runtime)).not.toContain(handle.sandboxId)
      await expect(runtime.connect(handle, patience())).rejects.toMatchObject({ code: 'unavailable' })
      await expect(runtime.stats(handle, patience())).rejects.toMatchObject({ code: 'not_found' })
      expect(await runtime.recover(handle, patience())).toBe('gone')
      await Promise.all([runtime.destroy(handle, patience()), runtime.destroy(handle, patience())])
    })

    test('a guest survives the runtime, with its processes', async () => {
      const earlier = suite.create()
      const handle = await start({}, earlier)
      const { boot } = await hello(guestOf(earlier, handle), patience())
      const running = await exec(guestOf(earlier, handle), command('sleep 1000'), patience())
      await running.events.return?.()
      await earlier.close()

      const later = suite.create()
      const persisted: GuestHandle = JSON.parse(JSON.stringify(handle))
      expect(await later.recover(persisted, patience())).toBe('running')
      const guest = guestOf(later, persisted)
      expect(await hello(guest, patience())).toMatchObject({ boot, processes: 1 })
      expect(await pidsOf(guest)).toEqual([running.pid])

      const watching = watch(later)
      await suite.kill(persisted)
      await watching.seen('guest-gone', handle.sandboxId)
      expect(dead).toContain(await later.recover(persisted, patience()))
      watching.stop()
      await later.close()
    })

    test('list has running guests, dead ones and remainders, and destroy removes them all', async () => {
      const [running, dead] = [await start(), await start()]
      await suite.kill(dead)
      const remainder = newSandboxId()
      await suite.plantRemainder(remainder)
      const listed = await runtime.list(patience())
      const names = listed.map(({ sandboxId }) => sandboxId)
      expect(names.sort()).toEqual([running.sandboxId, dead.sandboxId, remainder].sort())
      const found = listed.find(({ sandboxId }) => sandboxId === running.sandboxId)
      expect(found).toEqual(running)
      expect((await hello(guestOf(runtime, found!), patience())).protocol).toBe(1)
      for (const handle of listed) await runtime.destroy(handle, patience())
      expect(await runtime.list(patience())).toEqual([])
    })

    test('stats are plausible', async () => {
      const handle = await start()
      await run(guestOf(runtime, handle), 'i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done')
      const stats = await runtime.stats(handle, patience())
      expect(stats.memoryBytes).toBeGreaterThan(100_000)
      expect(stats.memoryBytes).toBeLessThan(2 ** 30)
      expect(stats.cpuMicros).toBeGreaterThan(10_000)
      expect(stats.pids).toBeGreaterThanOrEqual(1)
    })

    test('a stream keeps half-closes', async () => {
      const stream = await runtime.connect(await start(), patience())
      expect(stream.allowHalfOpen).toBe(true)
      stream.destroy()
    })

    test('a foreign handle is refused', async () => {
      const foreign = { runtime: 'other', version: 1, sandboxId: newSandboxId(), state: {} }
      const { connect, destroy, stats, recover, resume } = runtime
      for (const call of [connect, destroy, stats, recover, resume]) {
        await expect(call(foreign, patience())).rejects.toMatchObject({ code: 'invalid_argument' })
      }
      for (const options of pauses) {
        await expect(runtime.pause(foreign, options, patience())).rejects.toMatchObject({
          code: 'invalid_argument',
        })
      }
    })

    test('at most one watches', () => {
      const watching = watch(runtime)
      expect(() => runtime.watch(() => {}, patience())).toThrow('watched already')
      watching.stop()
    })

    test('a guest that is paused without memory has its files and no processes, and boots anew', async () => {
      const handle = await start()
      const guest = guestOf(runtime, handle)
      const { boot } = await hello(guest, patience())
      await run(guest, 'echo kept > ~/file; (setsid sleep 1000 >/dev/null 2>&1 &) ; true')
      await runtime.pause(handle, { memory: false }, patience())
      await runtime.pause(handle, { memory: false }, patience())
      expect(await runtime.recover(handle, patience())).toBe('stopped')
      await expect(runtime.connect(handle, patience())).rejects.toMatchObject({ code: 'unavailable' })
      await expect(runtime.stats(handle, patience())).rejects.toMatchObject({ code: 'not_found' })

      const resumed = await runtime.resume(handle, patience())
      expect(resumed.booted).toBe(true)
      expect(resumed.handle.sandboxId).toBe(handle.sandboxId)
      expect(await runtime.recover(resumed.handle, patience())).toBe('running')
      const again = guestOf(runtime, resumed.handle)
      const greeting = await hello(again, patience())
      expect(greeting).toMatchObject({ configured: false, processes: 0 })
      expect(greeting.boot).not.toBe(boot)
      expect((await run(again, 'cat ~/file')).stdout).toBe('kept\n')
      expect(await runtime.resume(resumed.handle, patience())).toEqual({
        handle: resumed.handle,
        booted: false,
      })
      expect((await hello(again, patience())).boot).toBe(greeting.boot)
    })

    test('a running guest is left as it is by a resume and by a pause that is given up', async () => {
      const handle = await start()
      const guest = guestOf(runtime, handle)
      const { boot } = await hello(guest, patience())
      expect(await runtime.resume(handle, patience())).toEqual({ handle, booted: false })
      for (const options of pauses) {
        await expect(runtime.pause(handle, options, AbortSignal.abort())).rejects.toMatchObject({
          code: 'canceled',
        })
      }
      expect((await hello(guest, patience())).boot).toBe(boot)
      expect(await runtime.recover(handle, patience())).toBe('running')
    })

    test.each(pauses)('a later runtime finds a paused guest and resumes it: %o', async (options) => {
      const earlier = suite.create()
      const handle = await start({}, earlier)
      const { boot } = await hello(guestOf(earlier, handle), patience())
      await run(guestOf(earlier, handle), 'echo kept > ~/file')
      await earlier.pause(handle, options, patience())
      await earlier.close()

      const later = suite.create()
      const persisted: GuestHandle = JSON.parse(JSON.stringify(handle))
      expect(await later.recover(persisted, patience())).toBe(options.memory ? 'paused' : 'stopped')
      await later.pause(persisted, options, patience())
      const resumed = await later.resume(persisted, patience())
      expect(resumed.booted).toBe(!options.memory)
      expect(await later.recover(resumed.handle, patience())).toBe('running')
      const guest = guestOf(later, resumed.handle)
      expect((await hello(guest, patience())).boot === boot).toBe(options.memory)
      expect((await run(guest, 'cat ~/file')).stdout).toBe('kept\n')
      await later.close()
    })

    test.each(pauses)('an asked for pause is not reported, and an end after it is: %o', async (options) => {
      const watching = watch(runtime)
      try {
        const handle = await start()
        await runtime.pause(handle, options, patience())
        const resumed = await runtime.resume(handle, patience())
        await runtime.pause(resumed.handle, options, patience())
        const last = await runtime.resume(resumed.handle, patience())
        await suite.kill(last.handle)
        await watching.seen('guest-gone', handle.sandboxId)
        expect(watching.events.filter(({ type }) => type === 'guest-gone')).toHaveLength(1)
        expect(dead).toContain(await runtime.recover(last.handle, patience()))
      } finally {
        watching.stop()
      }
    })

    test.each(pauses)('a paused guest is listed, and destroy leaves nothing of it: %o', async (options) => {
      const handle = await start()
      await runtime.pause(handle, options, patience())
      expect(await ids(runtime)).toEqual([handle.sandboxId])
      await runtime.destroy(handle, patience())
      expect(await ids(runtime)).toEqual([])
      expect(await runtime.recover(handle, patience())).toBe('gone')
      await expect(runtime.pause(handle, options, patience())).rejects.toMatchObject({ code: 'not_found' })
      await expect(runtime.resume(handle, patience())).rejects.toMatchObject({ code: 'not_found' })
    })

    if (canFreeze) {
      test('a pause with memory holds every process as it is', async () => {
        const handle = await start()
        const guest = guestOf(runtime, handle)
        const { boot } = await hello(guest, patience())
        const counter = await count(guest)
        await counter.next()
        await runtime.pause(handle, { memory: true }, patience())
        await runtime.pause(handle, { memory: true }, patience())
        expect(await runtime.recover(handle, patience())).toBe('paused')
        const last = await counter.standstill()

        const resumed = await runtime.resume(handle, patience())
        expect(resumed.booted).toBe(false)
        expect(await counter.next()).toBe(last + 1)
        const again = guestOf(runtime, resumed.handle)
        expect(await hello(again, patience())).toMatchObject({ boot, processes: 1 })
        expect(await pidsOf(again)).toEqual([counter.pid])
        await counter.stop()
      })

      test('a call to a paused guest ends by its deadline, and those after the resume are answered', async () => {
        const handle = await start()
        await runtime.pause(handle, { memory: true }, patience())
        const calls = Array.from({ length: 4 }, () =>
          hello(guestOf(runtime, handle), AbortSignal.timeout(300)).catch((error) => error.code),
        )
        for (const code of await Promise.all(calls)) {
          expect(code).toMatch(/^(unavailable|canceled|deadline_exceeded)$/)
        }
        const resumed = await runtime.resume(handle, patience())
        expect((await hello(guestOf(runtime, resumed.handle), patience())).protocol).toBe(1)
      })

      test('a guest that is paused with memory can lose it', async () => {
        const handle = await start()
        await run(guestOf(runtime, handle), 'echo kept > ~/file')
        await runtime.pause(handle, { memory: true }, patience())
        await runtime.pause(handle, { memory: false }, patience())
        expect(await runtime.recover(handle, patience())).toBe('stopped')
        const resumed = await runtime.resume(handle, patience())
        expect(resumed.booted).toBe(true)
        expect((await run(guestOf(runtime, resumed.handle), 'cat ~/file')).stdout).toBe('kept\n')
      })
    } else {
      test('a pause with memory is unimplemented, and the guest runs on', async () => {
        const handle = await start()
        await expect(runtime.pause(handle, { memory: true }, patience())).rejects.toMatchObject({
          code: 'unimplemented',
        })
        expect(await runtime.recover(handle, patience())).toBe('running')
      })
    }

    if (capabilities.filesystemSnapshot) {
      test.each([undefined, ...pauses])(
        'guests start from a snapshot; paused before: %o',
        async (options) => {
          const source = await start()
          const guest = guestOf(runtime, source)
          const { boot } = await hello(guest, patience())
          await run(guest, 'echo first > ~/file; mkdir ~/dir; ln -s ../file ~/dir/link; chmod 750 ~/dir')
          if (options !== undefined) await runtime.pause(source, options, patience())
          const condition = await runtime.recover(source, patience())
          const image = await snapshot(source)
          expect(await runtime.recover(source, patience())).toBe(condition)
          const { handle } = await runtime.resume(source, patience())
          await run(guestOf(runtime, handle), 'echo second > ~/file; rm -r ~/dir')

          const clones = await Promise.all([start({ image }), start({ image })])
          const [one, other] = clones.map((clone) => guestOf(runtime, clone))
          const script = 'cat ~/file ~/dir/link; stat -c %a ~/dir; echo new > ~/file'
          expect((await run(one!, script)).stdout).toBe('first\nfirst\n750\n')
          expect((await run(other!, script)).stdout).toBe('first\nfirst\n750\n')
          const greeting = await hello(one!, patience())
          expect(greeting).toMatchObject({ configured: false, processes: 0 })
          expect(greeting.boot).not.toBe(boot)
          expect((await run(guestOf(runtime, handle), 'cat ~/file')).stdout).toBe('second\n')
          for (const clone of clones) await runtime.destroy(clone, patience())
        },
      )

      test('a snapshot of a guest that writes leaves it running, with its processes', async () => {
        const handle = await start()
        const guest = guestOf(runtime, handle)
        const writer = await count(guest, 'echo $i > ~/part; mv ~/part ~/number')
        await writer.next()
        const image = await snapshot(handle)
        expect(await runtime.recover(handle, patience())).toBe('running')
        await writer.next()
        expect(await pidsOf(guest)).toEqual([writer.pid])
        await writer.stop()
        const clone = await start({ image })
        expect(Number((await run(guestOf(runtime, clone), 'cat ~/number')).stdout)).toBeGreaterThan(0)
        await runtime.destroy(clone, patience())
      })

      test('snapshots are listed, measured and removed, and a name is taken once', async () => {
        const handle = await start()
        await run(guestOf(runtime, handle), 'head -c 1000000 /dev/urandom > ~/file')
        expect(await runtime.images.list(patience())).toEqual([])
        const [first, second] = [await snapshot(handle), await snapshot(handle)]
        expect((await runtime.images.list(patience())).sort()).toEqual([first, second].sort())
        expect(await runtime.images.inspect(first, patience())).toBeDefined()
        const info = await runtime.images.inspect(first, patience())
        expect(info?.sizeBytes).toBeGreaterThanOrEqual(1_000_000)
        expect(info).toMatchObject({ os: 'linux', architecture: expect.stringMatching(/^(amd|arm)64$/) })
        expect(info?.workdir).toMatch(/^\//)
        await expect(snapshot(handle, first)).rejects.toMatchObject({ code: 'conflict' })
        expect((await hello(guestOf(runtime, handle), patience())).protocol).toBe(1)

        await runtime.images.remove(first, patience())
        await runtime.images.remove(first, patience())
        expect(await suite.create().images.list(patience())).toEqual([second])
        expect(await runtime.images.inspect(first, patience())).toBeUndefined()
        await expect(start({ image: first })).rejects.toMatchObject({ code: 'not_found' })
        expect(await ids(runtime)).toEqual([handle.sandboxId])
      })

      test('a flattened image has the same files, is listed, and takes no name that is taken', async () => {
        const handle = await start()
        await run(guestOf(runtime, handle), 'echo kept > ~/file; chmod 640 ~/file; ln -s file ~/link')
        const image = await snapshot(handle)
        const flat = newImage()
        snapshots.add(flat)
        await runtime.images.flatten(image, flat, patience())
        expect((await runtime.images.list(patience())).sort()).toEqual([image, flat].sort())
        const [before, after] = [image, flat].map((name) => runtime.images.inspect(name, patience()))
        const { layers, env, user, workdir } = (await after)!
        expect({ env, user, workdir }).toEqual(
          (({ env, user, workdir }) => ({ env, user, workdir }))((await before)!),
        )
        expect(layers).toBe(1)
        await runtime.images.remove(image, patience())
        const clone = await start({ image: flat })
        expect((await run(guestOf(runtime, clone), 'cat ~/link; stat -c %a ~/file')).stdout).toBe(
          'kept\n640\n',
        )
        await expect(runtime.images.flatten(flat, flat, patience())).rejects.toMatchObject({
          code: 'conflict',
        })
        const missing = runtime.images.flatten('e2b-server/nothing:here', newImage(), patience())
        await expect(missing).rejects.toMatchObject({ code: 'not_found' })
        await runtime.destroy(clone, patience())
      })

      test('an image that is kept outlives the one it is of, is nobody’s, and says what it was kept with', async () => {
        const handle = await start()
        await run(guestOf(runtime, handle), 'echo kept > ~/file')
        const image = await snapshot(handle)
        const kept = newImage()
        snapshots.add(kept)
        await runtime.images.keep(image, kept, 'a "note"', patience())
        await expect(runtime.images.keep(image, kept, '', patience())).rejects.toMatchObject({
          code: 'conflict',
        })
        const missing = runtime.images.keep('e2b-server/nothing:here', newImage(), '', patience())
        await expect(missing).rejects.toMatchObject({ code: 'not_found' })
        expect(await runtime.images.list(patience())).toEqual([image])
        await runtime.images.remove(image, patience())
        const clone = await start({ image: kept })
        expect((await run(guestOf(runtime, clone), 'cat ~/file')).stdout).toBe('kept\n')
        const copy = await snapshot(clone)
        expect(await runtime.images.list(patience())).toEqual([copy])
        const found = (await suite.create().images.kept(patience())).filter((each) =>
          snapshots.has(each.image),
        )
        expect(found).toEqual([{ image: kept, note: 'a "note"', createdAt: expect.any(Number) }])
      })

      test('an image outlives the guest it was made of, and guests outlive the runtime that made it', async () => {
        const handle = await start()
        await run(guestOf(runtime, handle), 'echo kept > ~/file')
        const image = await snapshot(handle)
        await runtime.destroy(handle, patience())
        await expect(runtime.snapshot(handle, newImage(), patience())).rejects.toMatchObject({
          code: 'not_found',
        })
        const earlier = suite.create()
        await earlier.close()
        const later = suite.create()
        const clone = await start({ image }, later)
        expect((await run(guestOf(later, clone), 'cat ~/file')).stdout).toBe('kept\n')
        await later.destroy(clone, patience())
        await later.close()
      })

      test('a snapshot that is given up leaves no image and the guest running', async () => {
        const handle = await start()
        const [image, leaving] = [newImage(), new AbortController()]
        const outcome = runtime.snapshot(handle, image, leaving.signal).catch((error) => error)
        leaving.abort()
        expect(await outcome).toMatchObject({ code: 'canceled' })
        expect(await runtime.images.list(patience())).toEqual([])
        expect((await hello(guestOf(runtime, handle), patience())).protocol).toBe(1)
      })
    } else {
      test('a snapshot is unimplemented', async () => {
        await expect(runtime.snapshot(await start(), newImage(), patience())).rejects.toMatchObject({
          code: 'unimplemented',
        })
      })
    }

    if (capabilities.egressPolicy === 'none') {
      test('to close a guest is unimplemented, and leaves it as it was', async () => {
        const refusal = { code: 'unimplemented', message: expect.stringContaining('egressPolicy') }
        await expect(start({ egress: 'closed' })).rejects.toMatchObject(refusal)
        const handle = await start()
        await expect(runtime.setEgress(handle, 'closed', patience())).rejects.toMatchObject(refusal)
        await runtime.pause(handle, { memory: false }, patience())
        await expect(runtime.resume(handle, patience(), { egress: 'closed' })).rejects.toMatchObject(refusal)
        expect(await runtime.recover(handle, patience())).toBe('stopped')
        await runtime.setEgress(handle, 'open', patience())
      })
    }

    if (!capabilities.resourceLimits) return

    test('memory limit', async () => {
      const guest = guestOf(runtime, await start({ memoryMb: 64 }))
      expect((await run(guest, 'head -c 200000000 /dev/zero | tail')).status).not.toBe('exit status 0')
      expect((await run(guest, 'true')).status).toBe('exit status 0')
    })

    test('pids limit', async () => {
      const guest = guestOf(runtime, await start({ memoryMb: 2048 }))
      const wait = '(exec >/dev/null 2>&1; read line < /tmp/never) &'
      const fork = `mkfifo /tmp/never; i=0; while [ $i -lt 10000 ]; do ${wait} i=$((i+1)); done`
      expect((await run(guest, fork)).stderr).toMatch(/fork/)
    })
  })
}

export function guestSpec(image: string, spec: Partial<GuestSpec> = {}): GuestSpec {
  const sandboxId = spec.sandboxId ?? newSandboxId()
  return {
    sandboxId,
    image,
    cpuCount: 1,
    memoryMb: 128,
    diskMb: 1024,
    hostname: 'e2b',
    egress: 'open',
    ...spec,
  }
}

export function guestOf(runtime: Runtime, handle: GuestHandle): Guest {
  return { connect: (signal) => runtime.connect(handle, signal) }
}

function command(script: string): ExecRequest {
  return { cmd: '/bin/sh', args: ['-c', script], env: {}, stdin: false }
}

/** Runs a shell script to its end. */
export async function run(guest: Guest, script: string) {
  const output = { stdout: '', stderr: '', pty: '' }
  const { events } = await exec(guest, command(script), patience())
  for await (const event of events) {
    if (event.type === 'end')
      return { stdout: output.stdout, stderr: output.stderr, status: event.exit.status }
    output[event.type] += event.bytes.toString()
  }
  throw new Error('The process had no end.')
}

/**
 * A process that counts aloud from 1. `next` reads the next number; `standstill` reads until none comes for a while,
 * and returns the last.
 */
async function count(guest: Guest, step = ':') {
  const script = `i=0; while :; do i=$((i+1)); ${step}; echo $i; sleep 0.01; done`
  const { pid, events } = await exec(guest, command(script), AbortSignal.timeout(2 * patienceMs))
  const numbers = lines()
  let [last, following] = [0, numbers.next()]

  async function* lines() {
    let text = ''
    for await (const event of events) {
      if (event.type === 'end') throw new Error(`The counter ended: ${event.exit.status}`)
      text += event.bytes.toString()
      for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n')) {
        yield Number(text.slice(0, end))
        text = text.slice(end + 1)
      }
    }
  }
  const next = async () => {
    last = (await following).value ?? Number.NaN
    following = numbers.next()
    following.catch(() => {})
    return last
  }
  const standstill = async () => {
    const late = patience()
    while (await Promise.race([following.then(() => true), sleep(quietMs).then(() => false)])) {
      late.throwIfAborted()
      await next()
    }
    return last
  }
  /** Ends the stream, not the process. */
  const stop = async () => void (await events.return?.())
  return { pid, next, standstill, stop }
}

/** A name that no image has. */
export function newImage(): string {
  return `e2b-server/snapshot:${newId()}`
}

async function pidsOf(guest: Guest): Promise<number[]> {
  const pids: number[] = []
  for await (const { pid } of await listProcesses(guest, patience())) pids.push(pid)
  return pids
}

/** Collects a runtime's events. */
export function watch(runtime: Runtime) {
  const events: RuntimeEvent[] = []
  const stopping = new AbortController()
  let wake = () => {}
  runtime.watch((event) => {
    events.push(event)
    wake()
  }, stopping.signal)
  const seen = async (type: RuntimeEvent['type'], sandboxId?: string) => {
    const late = patience()
    const isThere = () =>
      events.some(
        (event) =>
          event.type === type && (!sandboxId || ('sandboxId' in event && event.sandboxId === sandboxId)),
      )
    while (!isThere()) {
      await new Promise<void>((resolve, reject) => {
        wake = resolve
        late.addEventListener('abort', () => reject(new Error(`no ${type} in ${JSON.stringify(events)}`)), {
          once: true,
        })
      })
    }
  }
  return { events, seen, stop: () => stopping.abort() }
}

async function ids(runtime: Runtime): Promise<string[]> {
  return (await runtime.list(patience())).map(({ sandboxId }) => sandboxId)
}
