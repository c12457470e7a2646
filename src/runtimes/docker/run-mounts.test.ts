import { mkdir, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { baseImageName, buildBaseImage } from '../../../images/base/build.mjs'
import { hostBinary } from '../../../tests/support/agent.ts'
import type { GuestHandle, Runtime } from '../../domain/runtime.ts'
import { guestOf, guestSpec, run } from '../tools.suite.ts'
import { runHostTool } from './host-tool.ts'
import { patience, server } from './runtime.fixture.ts'

const image = await baseImageName()

// Only root may mount.
describe.runIf(process.getuid?.() === 0)('the run directory of a guest', () => {
  let one: Awaited<ReturnType<typeof server>>
  let runtime: Runtime

  beforeAll(async () => {
    await buildBaseImage({ log: () => {} })
    one = await server({ transport: 'unix' })
    runtime = one.create()
  }, 15 * 60_000)
  afterAll(async () => {
    await runtime.close()
    await one.dispose()
  })

  const start = () => runtime.start(guestSpec(image), patience())
  const inside = (handle: GuestHandle, command: string) => run(guestOf(runtime, handle), command)
  const directory = (handle: GuestHandle) => join(one.stateDir, 'run', handle.sandboxId)
  /** Options of what is mounted at the guest's directory, on this machine. */
  const mounted = async (handle: GuestHandle) => {
    const lines = (await readFile('/proc/self/mounts', 'utf8')).split('\n').map((line) => line.split(' '))
    return lines
      .filter(([, path]) => path === directory(handle))
      .map(([, , kind, options]) => `${kind} ${options}`)
  }

  test('is a few KiB of its own, without programs and devices', async () => {
    const handle = await start()
    const [options, ...more] = await mounted(handle)
    expect(more).toEqual([])
    expect(options).toMatch(/^tmpfs rw,nosuid,nodev,noexec,/)
    expect(
      (await inside(handle, 'grep -c " /run/e2b-guest/socket tmpfs rw,nosuid,nodev,noexec" /proc/mounts'))
        .stdout,
    ).toBe('1\n')
    const fill =
      'cd /run/e2b-guest/socket; head -c 1000000 /dev/zero > fill; stat -c %s fill; rm fill; for i in $(seq 100); do touch $i || break; done 2>/dev/null; ls | wc -l'
    const [bytes, files] = (await inside(handle, fill)).stdout.trim().split('\n').map(Number)
    expect(bytes).toBeLessThanOrEqual(65_536)
    expect(files).toBeLessThan(40)
    // The disk of the state directory has nothing of it, and its owner goes without a trace.
    expect((await stat(directory(handle))).dev).not.toBe((await stat(one.stateDir)).dev)
    await runtime.destroy(handle, patience())
    expect(await mounted(handle)).toEqual([])
    expect(await readdir(join(one.stateDir, 'run'))).toEqual([])
  })

  test('is a new one after each boot, also when a restart of the machine took it', async () => {
    const handle = await start()
    await inside(handle, 'mkdir -p /run/e2b-guest/socket/deep; mknod /run/e2b-guest/socket/disk b 8 0')
    await runtime.pause(handle, { memory: false }, patience())
    await runHostTool(hostBinary, ['unmount-run-dir', '--directory', directory(handle)], {
      timeoutMs: 10_000,
    })
    expect(await mounted(handle)).toEqual([])
    const later = one.create()
    const booted = (await later.resume(handle, patience())).handle
    expect(await mounted(handle)).toHaveLength(1)
    expect(await readdir(directory(handle))).toEqual(['agent.sock'])
    await later.destroy(booted, patience())
    await later.close()
  })

  test('stays with a guest over pauses and restarts of the server', async () => {
    const handle = await start()
    await runtime.pause(handle, { memory: true }, patience())
    const later = one.create()
    expect(await later.recover(handle, patience())).toBe('paused')
    await later.resume(handle, patience())
    expect(await mounted(handle)).toHaveLength(1)
    expect(await later.recover(handle, patience())).toBe('running')
    await later.destroy(handle, patience())
    expect(await mounted(handle)).toEqual([])
    await later.close()
  })

  test('that a crash left without a container is found and taken off', async () => {
    const left = { ...(await start()), sandboxId: 'ileftbyacrash0000000' }
    await mkdir(directory(left), { recursive: true })
    await runHostTool(hostBinary, ['mount-run-dir', '--directory', directory(left)], { timeoutMs: 10_000 })
    const found = (await runtime.list(patience())).find(({ sandboxId }) => sandboxId === left.sandboxId)
    await runtime.destroy(found!, patience())
    expect(await mounted(left)).toEqual([])
    expect(await readdir(join(one.stateDir, 'run'))).not.toContain(left.sandboxId)
  })
})
