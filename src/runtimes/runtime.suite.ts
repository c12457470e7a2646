/**
 * The runtime contract's test. Every runtime's own test file calls it; tests of a power are there where the runtime's
 * capabilities claim it.
 */
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import type { GuestHandle, GuestSpec } from '../domain/runtime.ts'
import { exec } from '../guest/exec.ts'
import { hello } from '../guest/hello.ts'
import { newSandboxId } from '../lib/ids.ts'
import { testPauses } from './pause.suite.ts'
import { testSnapshots } from './snapshot.suite.ts'
import {
  command,
  dead,
  guestOf,
  guestSpec,
  ids,
  newImage,
  patience,
  pidsOf,
  type RuntimeSuite,
  run,
  type SuiteBench,
  watch,
} from './tools.suite.ts'

export function runRuntimeSuite(suite: RuntimeSuite): void {
  describe(`runtime contract: ${suite.name}`, () => {
    const runtime = suite.create()
    const started = new Set<GuestHandle>()
    const snapshots = new Set<string>()
    const { capabilities } = runtime
    const canFreeze = capabilities.memoryPause !== 'none'
    /** Every way to pause that the runtime has */
    const pauses = canFreeze ? [{ memory: true }, { memory: false }] : [{ memory: false }]

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
    const bench: SuiteBench = { suite, runtime, pauses, start, snapshot, snapshots }

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

    test('an image is found by its id too, whatever is called by its name, and guests are made of it', async () => {
      const { id } = (await runtime.images.inspect(suite.image, patience()))!
      expect(await runtime.images.inspect(id, patience())).toMatchObject({ id })
      const guest = guestOf(runtime, await start({ image: id }))
      expect((await run(guest, 'echo made')).stdout).toBe('made\n')
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
      if (suite.hasEngine) await watching.seen('engine-up')
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
      // What an ended process took counts once it is reaped.
      const cpuMicros = async () => (await runtime.stats(handle, patience())).cpuMicros
      await expect.poll(cpuMicros, { timeout: 10_000 }).toBeGreaterThan(10_000)
      const stats = await runtime.stats(handle, patience())
      expect(stats.memoryBytes).toBeGreaterThan(100_000)
      expect(stats.memoryBytes).toBeLessThan(2 ** 30)
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

    testPauses(bench)
    testSnapshots(bench)

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
      const handle = await start({ memoryMb: 64 })
      const guest = guestOf(runtime, handle)
      if (suite.outOfMemory === 'guest') {
        await run(guest, 'echo kept > ~/file')
        await expect(run(guest, 'head -c 200000000 /dev/zero | tail')).rejects.toMatchObject({
          code: 'unavailable',
        })
        await expect.poll(() => runtime.recover(handle, patience())).toBe('stopped')
        const resumed = await runtime.resume(handle, patience())
        expect((await run(guestOf(runtime, resumed.handle), 'cat ~/file')).stdout).toBe('kept\n')
        return
      }
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
