import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { baseImageName, buildBaseImage } from '../../../images/base/build.mjs'
import type { GuestHandle, Runtime } from '../../domain/runtime.ts'
import { dial } from '../../guest/dial.ts'
import { read } from '../../guest/read.ts'
import { guestOf, guestSpec, run } from '../tools.suite.ts'
import { cgroupOf } from './cgroup.ts'
import { reclaimMemory } from './memory-reclaim.ts'
import { container, docker, patience, server } from './runtime.fixture.ts'

const image = await baseImageName()
const isRoot = process.getuid?.() === 0
const bootIdPath = '/proc/sys/kernel/random/boot_id'

beforeAll(() => buildBaseImage({ log: () => {} }), 15 * 60_000)

for (const transport of isRoot ? (['unix', 'tcp'] as const) : (['tcp'] as const)) {
  describe(`pauses over ${transport}`, () => {
    let one: Awaited<ReturnType<typeof server>>
    let runtime: Runtime

    beforeAll(async () => {
      one = await server({ transport })
      runtime = one.create()
    })
    afterAll(async () => {
      await runtime.close()
      await one.dispose()
    })

    const start = () => runtime.start(guestSpec(image), patience())
    const resume = async (handle: GuestHandle) => (await runtime.resume(handle, patience())).handle
    const bootId = async (handle: GuestHandle) =>
      (await run(guestOf(runtime, handle), `cat ${bootIdPath}`)).stdout

    test.runIf(isRoot)('every boot has a boot id of its own, which a freeze keeps', async () => {
      const [first, second] = await Promise.all([start(), start()])
      const id = await bootId(first)
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\n$/)
      expect(new Set([id, await bootId(second), await readFile(bootIdPath, 'utf8')]).size).toBe(3)
      const { body } = await read(guestOf(runtime, first), { path: bootIdPath }, patience())
      const pieces: Buffer[] = []
      for await (const piece of body) pieces.push(piece)
      expect(Buffer.concat(pieces).toString()).toBe(id)

      await runtime.pause(first, { memory: true }, patience())
      const thawed = await resume(first)
      expect(await bootId(thawed)).toBe(id)
      // As a server does that was killed before it knew how the resume ended.
      expect(await bootId(await resume(thawed))).toBe(id)

      await runtime.pause(thawed, { memory: false }, patience())
      const booted = await resume(thawed)
      expect(await bootId(booted)).toMatch(/^[0-9a-f-]{36}\n$/)
      expect([id, await readFile(bootIdPath, 'utf8')]).not.toContain(await bootId(booted))

      const attack = `echo x > ${bootIdPath}; umount ${bootIdPath}; mount -o remount,rw ${bootIdPath}; rm ${bootIdPath}`
      await run(guestOf(runtime, second), `(${attack}); chmod 666 ${bootIdPath}`)
      expect(await bootId(second)).toMatch(/^[0-9a-f-]{36}\n$/)
      for (const handle of [booted, second]) await runtime.destroy(handle, patience())
    })

    test('a freeze keeps what listens, and the memory of it', async () => {
      const handle = await start()
      const serve = 'cd /tmp; echo served > page; python3 -m http.server 8080 >/dev/null 2>&1 & echo $!'
      const pid = (await run(guestOf(runtime, handle), serve)).stdout
      const ask = `until curl -sf http://127.0.0.1:8080/page; do sleep 0.05; done; kill -0 ${pid.trim()} && echo alive`
      const before = (await run(guestOf(runtime, handle), ask)).stdout
      expect(before).toBe('served\nalive\n')

      await runtime.pause(handle, { memory: true }, patience())
      expect((await container(handle).inspect()).State.Paused).toBe(true)
      expect((await runtime.stats(handle, patience())).memoryBytes).toBeGreaterThan(1_000_000)
      const thawed = await resume(handle)
      ;(await dial(guestOf(runtime, thawed), { port: 8080 }, patience())).destroy()
      expect((await run(guestOf(runtime, thawed), ask)).stdout).toBe(before)
      await runtime.destroy(thawed, patience())
    })

    test('a guest can spoil nothing that its next boot needs', async () => {
      const handle = await start()
      const spoil =
        'cd /run/e2b-guest/socket 2>/dev/null && rm -f agent.sock && mkdir -p agent.sock/deep && ln -s /etc evil; touch /kept'
      await run(guestOf(runtime, handle), spoil)
      await runtime.pause(handle, { memory: false }, patience())
      const booted = await resume(handle)
      const inside = 'ls /kept; ls -A /run/e2b-guest/socket 2>/dev/null | grep -v agent.sock'
      expect((await run(guestOf(runtime, booted), inside)).stdout).toBe('/kept\n')
      await runtime.destroy(booted, patience())
    })

    test('a resume finds the guest, whatever an earlier one did before it was cut off', async () => {
      const handle = await start()
      // Thawed, frozen or ended by somebody else than this server.
      await runtime.pause(handle, { memory: true }, patience())
      await container(handle).unpause()
      expect(await runtime.resume(handle, patience())).toEqual({ handle, booted: false })
      await container(handle).pause()
      expect(await runtime.recover(handle, patience())).toBe('paused')
      await runtime.pause(handle, { memory: true }, patience())
      expect(await runtime.resume(handle, patience())).toEqual({ handle, booted: false })
      await runtime.pause(handle, { memory: true }, patience())
      await container(handle).kill()
      await container(handle).wait()
      expect(await runtime.recover(handle, patience())).toBe('stopped')
      await runtime.pause(handle, { memory: true }, patience())
      await runtime.pause(handle, { memory: false }, patience())
      // A boot whose new handle was never stored: what is known of the guest is the one from before.
      const booted = await resume(handle)
      const later = one.create()
      expect(await later.recover(handle, patience())).toBe('running')
      await later.close()
      expect(await runtime.resume(handle, patience())).toEqual({ handle: booted, booted: false })
      await runtime.destroy(booted, patience())
    })

    test('a boot that is given up leaves the guest stopped', async () => {
      const handle = await start()
      await run(guestOf(runtime, handle), 'touch /kept')
      await runtime.pause(handle, { memory: false }, patience())
      const leaving = new AbortController()
      const booting = runtime.resume(handle, leaving.signal)
      leaving.abort()
      await expect(booting).rejects.toMatchObject({ code: 'canceled' })
      expect(await runtime.recover(handle, patience())).toBe('stopped')
      const booted = await resume(handle)
      expect((await run(guestOf(runtime, booted), 'ls /kept')).stdout).toBe('/kept\n')
      await runtime.destroy(booted, patience())
    })

    // Over TCP the engine listens for it.
    if (transport === 'unix')
      test('a guest without an agent that listens keeps its files', async () => {
        const handle = await start()
        await run(guestOf(runtime, handle), 'touch /kept; rm /run/e2b-guest/socket/agent.sock')
        const later = one.create()
        expect(await later.recover(handle, patience())).toBe('cut-off')
        await later.pause(handle, { memory: false }, patience())
        expect(await later.recover(handle, patience())).toBe('stopped')
        const booted = (await later.resume(handle, patience())).handle
        expect((await run(guestOf(later, booted), 'ls /kept')).stdout).toBe('/kept\n')
        await later.destroy(booted, patience())
        await later.close()
      })

    test('a stopped guest boots after its network was removed', async () => {
      const alone = await server({ transport })
      const earlier = alone.create()
      const handle = await earlier.start(guestSpec(image), patience())
      await earlier.pause(handle, { memory: false }, patience())
      const { Networks: networks } = (await container(handle).inspect()).NetworkSettings
      for (const name of Object.keys(networks)) await docker.getNetwork(name).remove()
      const booted = (await earlier.resume(handle, patience())).handle
      expect((await run(guestOf(earlier, booted), 'hostname -I')).stdout).toMatch(/^[\d.]+/)
      await earlier.close()
      await alone.dispose()
    })
  })
}

describe.runIf(isRoot)('memory of a frozen guest', () => {
  test('is what its control group says, and the kernel takes what it can of it', async () => {
    const one = await server()
    const runtime = one.create()
    const handle = await runtime.start(guestSpec(image), patience())
    await run(
      guestOf(runtime, handle),
      'head -c 30000000 /dev/zero > /tmp/file; sync; cat /tmp/file >/dev/null',
    )
    await runtime.pause(handle, { memory: true }, patience())
    const { Pid: pid, ...state } = (await container(handle).inspect()).State
    expect(state.Paused).toBe(true)
    const cgroup = await cgroupOf('memory', pid)
    expect(cgroup?.directory).toContain(String(handle.state.containerId))
    const name = cgroup?.version === 1 ? 'memory.usage_in_bytes' : 'memory.current'
    const used = async () => Number(await readFile(`${cgroup!.directory}/${name}`, 'utf8'))
    const before = await used()
    expect(before).toBeGreaterThan(25_000_000)
    // Version 2 says so when it can't take all, as without swap.
    await reclaimMemory(cgroup!, patience()).catch(() => {})
    expect(await used()).toBeLessThan(before - 20_000_000)
    expect((await runtime.resume(handle, patience())).booted).toBe(false)
    await runtime.close()
    await one.dispose()
  })
})
