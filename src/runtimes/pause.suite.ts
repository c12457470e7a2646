/** The part of the runtime contract's test that is about pauses; `runtime.suite.ts` runs it. */
import { expect, test } from 'vitest'
import type { GuestHandle } from '../domain/runtime.ts'
import { hello } from '../guest/hello.ts'
import { count, dead, guestOf, ids, patience, pidsOf, run, type SuiteBench, watch } from './tools.suite.ts'

export function testPauses({ suite, runtime, pauses, start }: SuiteBench): void {
  const canFreeze = runtime.capabilities.memoryPause !== 'none'

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

    test('of a guest that has ended by itself a pause keeps the files, and says that there is no memory', async () => {
      const handle = await start()
      await run(guestOf(runtime, handle), 'echo kept > ~/file')
      await suite.kill(handle)
      expect(await runtime.pause(handle, { memory: true }, patience())).toEqual({ memory: false })
      expect(await runtime.recover(handle, patience())).toBe('stopped')
      const resumed = await runtime.resume(handle, patience())
      expect(resumed.booted).toBe(true)
      expect((await run(guestOf(runtime, resumed.handle), 'cat ~/file')).stdout).toBe('kept\n')
      expect(await runtime.pause(resumed.handle, { memory: true }, patience())).toEqual({ memory: true })
      expect(await runtime.pause(resumed.handle, { memory: true }, patience())).toEqual({ memory: true })
      expect(await runtime.pause(resumed.handle, { memory: false }, patience())).toEqual({ memory: false })
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
}
