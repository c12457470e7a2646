/** What programs in a sandbox see of their machine, on the real engine. */
import { readdir, readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { baseImageName, buildBaseImage } from '../../../images/base/build.mjs'
import type { GuestHandle, Runtime } from '../../domain/runtime.ts'
import { guestOf, guestSpec, run } from '../tools.suite.ts'
import { container, patience, server } from './runtime.fixture.ts'

const image = await baseImageName()
const memoryMb = 256
const paths = ['meminfo', 'stat', 'loadavg'].map((name) => `/proc/${name}`).join(' ')
const hold = 'head -c 100000000 /dev/zero > /dev/shm/held'
/** What holding that changes at least, in kB */
const heldKb = 90_000
const readAgain = `python3 - <<'E'
f = open('/proc/meminfo')
first = f.read()
open('/dev/shm/held', 'wb').write(bytes(100_000_000))
f.seek(0)
again = f.read()
print(len(first) == len(again), first == again)
E`
const leaseAndFlood = `python3 - <<'E' >/dev/null 2>&1 &
import fcntl, time
files = [open(path) for path in '${paths}'.split()]
for file in files:
    fcntl.fcntl(file, 1024, 0)
time.sleep(600)
E
for i in 1 2 3 4; do (while :; do cat ${paths} >/dev/null; done) >/dev/null 2>&1 & done; sleep 1`

/** The process that writes the files of one server's sandboxes. */
async function keeper(instanceId: string): Promise<number> {
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const line = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    if (line.includes('keep-views') && line.includes(instanceId)) return Number(pid)
  }
  throw new Error('There is no such process.')
}

// Only root may mount.
describe.runIf(process.getuid?.() === 0)('what a sandbox sees of its machine', () => {
  let one: Awaited<ReturnType<typeof server>>
  let runtime: Runtime

  beforeAll(async () => {
    await buildBaseImage({ log: () => {} })
    one = await server()
    runtime = one.create()
  }, 15 * 60_000)
  afterAll(async () => {
    await runtime.close()
    await one.dispose()
  })

  const all = availableParallelism()
  const start = (cpuCount = all, by = runtime) =>
    by.start({ ...guestSpec(image), memoryMb, cpuCount }, patience())
  const inside = async (handle: GuestHandle, command: string, by = runtime) =>
    (await run(guestOf(by, handle), command)).stdout.trim()
  const memory = async (handle: GuestHandle) => {
    const text = await inside(handle, 'cat /proc/meminfo')
    const of = (name: string) => Number(new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(text)?.[1])
    return { total: of('MemTotal'), available: of('MemAvailable'), swap: of('SwapTotal') }
  }
  const cpusOf = async (handle: GuestHandle) => (await container(handle).inspect()).HostConfig.CpusetCpus

  test('memory is that of its limit, and what it uses shows with the next look', async () => {
    const handle = await start()
    const before = await memory(handle)
    expect(before).toMatchObject({ total: memoryMb * 1024, swap: 0 })
    expect(before.available).toBeLessThanOrEqual(before.total)
    await inside(handle, hold)
    const during = await memory(handle)
    expect(during.available).toBeLessThan(before.available - heldKb)
    await inside(handle, 'rm /dev/shm/held')
    expect((await memory(handle)).available).toBeGreaterThan(during.available + heldKb)
    // One open file, read again and again, as monitors do.
    expect(await inside(handle, readAgain)).toBe('True False')
    await runtime.destroy(handle, patience())
  })

  test('CPU times and load are its own', async () => {
    const [busy, idle] = await Promise.all([start(), start()])
    const ticks = async (handle: GuestHandle) => {
      const [, user, , system] = (await inside(handle, 'head -1 /proc/stat')).split(/\s+/)
      return Number(user) + Number(system)
    }
    const load = async (handle: GuestHandle) => Number(await inside(handle, 'cut -d" " -f1 /proc/loadavg'))
    const before = { busy: await ticks(busy), idle: await ticks(idle) }
    await inside(busy, 'python3 -c "import time\nwhile time.process_time() < 3: pass"')
    expect((await ticks(busy)) - before.busy).toBeGreaterThan(200)
    expect((await ticks(idle)) - before.idle).toBeLessThan(200)
    expect(await load(busy)).toBeGreaterThan(await load(idle))
    expect(await inside(busy, 'grep -c "^cpu[0-9]" /proc/stat')).toBe(String(all))
    expect(await inside(busy, 'wc -l < /proc/swaps')).toBe('1')
    // All that /proc says of processes counts from the host's start, and so do these.
    const boot = /^btime .*$/m.exec(await readFile('/proc/stat', 'utf8'))?.[0]
    expect(await inside(busy, 'grep btime /proc/stat')).toBe(boot)
    for (const handle of [busy, idle]) await runtime.destroy(handle, patience())
  })

  test.runIf(all > 1)('it has as many CPUs as it was given, whoever is asked', async () => {
    const handles = [await start(1), await start(1)] as const
    for (const handle of handles) {
      const kernel =
        'nproc; getconf _NPROCESSORS_ONLN; getconf _NPROCESSORS_CONF; grep -c ^processor /proc/cpuinfo'
      const python = "python3 -c 'import os; print(os.cpu_count(), len(os.sched_getaffinity(0)))'"
      const node = "node -p 'os.cpus().length + os.availableParallelism()'"
      expect(await inside(handle, `(${kernel}; ${python}; ${node}) | xargs`)).toBe('1 1 1 1 1 1 2')
      const shown = await inside(handle, 'cat /sys/devices/system/cpu/online')
      expect(await inside(handle, 'grep ^processor /proc/cpuinfo | cut -d" " -f2')).toBe(shown)
      expect(await inside(handle, 'grep -o "^cpu[0-9]*" /proc/stat | xargs')).toBe(`cpu cpu${shown}`)
    }
    const given = [await cpusOf(handles[0]), await cpusOf(handles[1])]
    expect(new Set(given).size).toBe(2)
    // The next server knows who has which.
    await runtime.destroy(handles[0], patience())
    const later = one.create()
    const next = await start(1, later)
    expect(await cpusOf(next)).toBe(given[0])
    const whole = await start(all, later)
    expect(await cpusOf(whole)).toBe('')
    expect(await inside(whole, 'nproc', later)).toBe(String(all))
    for (const handle of [next, whole, handles[1]]) await later.destroy(handle, patience())
    await later.close()
  })

  test('it stays over pauses, boots, snapshots and restarts of the server', async () => {
    let handle = await start()
    for (const how of [{ memory: true }, { memory: false }]) {
      await runtime.pause(handle, how, patience())
      handle = (await runtime.resume(handle, patience())).handle
    }
    const before = await memory(handle)
    expect(before.total).toBe(memoryMb * 1024)
    await inside(handle, hold)
    expect((await memory(handle)).available).toBeLessThan(before.available - heldKb)

    const copy = `e2b-server/view:${one.instanceId}`
    await runtime.snapshot(handle, copy, patience())
    const forked = await runtime.start({ ...guestSpec(copy), memoryMb: 512 }, patience())
    expect((await memory(forked)).total).toBe(512 * 1024)
    await runtime.destroy(forked, patience())

    // Without a server nobody keeps it true, and it can be read all the same.
    await runtime.close()
    runtime = one.create()
    await inside(handle, 'rm /dev/shm/held; cat /proc/meminfo > /dev/null')
    const stop = new AbortController()
    runtime.watch(() => {}, stop.signal)
    const available = async () => (await memory(handle)).available
    await expect.poll(available, { timeout: 20_000 }).toBeGreaterThan(before.available - heldKb)
    stop.abort()
    await runtime.destroy(handle, patience())
    expect(await readdir(`/run/e2b-server/${one.instanceId}`)).not.toContain(handle.sandboxId)
  })

  test('whoever keeps it true can be killed, and is replaced', async () => {
    const handle = await start()
    const before = await memory(handle)
    // Readers who may be waiting for it just then.
    const reading = run(
      guestOf(runtime, handle),
      'for i in $(seq 2000); do read line < /proc/loadavg; done; echo read',
    )
    process.kill(await keeper(one.instanceId), 'SIGKILL')
    expect((await reading).stdout).toBe('read\n')
    await inside(handle, hold)
    const available = async () => (await memory(handle)).available
    await expect.poll(available, { timeout: 20_000 }).toBeLessThan(before.available - heldKb)
    await runtime.destroy(handle, patience())
  })

  test('its root can neither write to it, nor take it off, nor hold up the others', async () => {
    const [hostile, other] = await Promise.all([start(), start()])
    const attack =
      'echo x > $f; umount $f; mount -o remount,rw $f; mount --bind /etc/hosts $f; rm -f $f; chmod 666 $f'
    await inside(hostile, `(for f in ${paths} /proc/swaps; do ${attack}; done) 2>/dev/null`)
    await inside(hostile, leaseAndFlood)
    expect((await memory(hostile)).total).toBe(memoryMb * 1024)
    const before = await memory(other)
    await inside(other, hold)
    expect((await memory(other)).available).toBeLessThan(before.available - heldKb)
    for (const handle of [hostile, other]) await runtime.destroy(handle, patience())
  })
})
