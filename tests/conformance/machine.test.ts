/** What programs in a sandbox take their machine for. */
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testedRuntime } from '../../scripts/test/runtime.mjs'
import { sdks } from '../support/sdks.ts'
import { startTestServer, type TestServer } from '../support/server.ts'

const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
const isRoot = process.getuid?.() === 0
const { Sandbox } = sdks[0]!.sdk

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server[Symbol.asyncDispose]())

// Only root may mount.
describe.runIf(isRoot)('the machine that a sandbox sees', () => {
  test('has the memory and the CPUs that getInfo and getMetrics name', async () => {
    const sandbox = await Sandbox.create()
    const { memoryMB, cpuCount } = await sandbox.getInfo()
    const print = async (command: string) => (await sandbox.commands.run(command)).stdout.trim()
    const bytes = memoryMB * 2 ** 20
    expect(await print("free -b | awk '/Mem:/ { print $2 }'")).toBe(String(bytes))
    expect(await print("free -b | awk '/Swap:/ { print $2 }'")).toBe('0')
    expect(await print("awk '/MemTotal/ { print $2 * 1024 }' /proc/meminfo")).toBe(String(bytes))
    expect(await print('node -p "os.totalmem()"')).toBe(String(bytes))
    expect(Number(await print('node -p "os.freemem()"'))).toBeLessThanOrEqual(bytes)
    expect(Number(await print('node -p "v8.getHeapStatistics().heap_size_limit"'))).toBeLessThan(bytes)
    const cpus = String(Math.min(cpuCount, availableParallelism()))
    for (const command of [
      'nproc',
      'getconf _NPROCESSORS_ONLN',
      'grep -c ^processor /proc/cpuinfo',
      'grep -c "^cpu[0-9]" /proc/stat',
      'python3 -c "import os; print(os.cpu_count())"',
      'python3 -c "import os; print(len(os.sched_getaffinity(0)))"',
      'node -p "os.cpus().length"',
    ])
      expect([command, await print(command)]).toEqual([command, cpus])
    await expect.poll(async () => (await sandbox.getMetrics()).length, { timeout: 30_000 }).toBeGreaterThan(0)
    expect((await sandbox.getMetrics()).at(-1)).toMatchObject({ memTotal: bytes, cpuCount })
    await sandbox.kill()
  })

  test('has a load and CPU times that tools can show', async () => {
    const sandbox = await Sandbox.create()
    const { stdout } = await sandbox.commands.run(
      'uptime; top -bn1 | head -5; vmstat 1 2 | tail -1; ps aux | wc -l',
    )
    expect(stdout).toMatch(/load average: \d+\.\d\d, \d+\.\d\d, \d+\.\d\d/)
    expect(stdout).toMatch(/%Cpu\(s\): +\d/)
    expect(stdout).not.toMatch(/nan|error/i)
    await sandbox.kill()
  })
})

/** On Docker all sandboxes share one disk. Not by `runIf`: a skipped test fails the run. */
if (testedRuntime() === 'native') {
  test('the disk of a sandbox is of the size that getMetrics and df name, and full it is its own matter', async () => {
    const sandbox = await Sandbox.create()
    const print = async (command: string) => (await sandbox.commands.run(command)).stdout.trim()
    const total = Number(await print('df -B1 --output=size / | tail -1'))
    // 10 GiB, less what the file system takes for itself.
    expect(total / 2 ** 30).toBeGreaterThan(9)
    expect(total / 2 ** 30).toBeLessThanOrEqual(10)
    await expect.poll(async () => (await sandbox.getMetrics()).length, { timeout: 30_000 }).toBeGreaterThan(0)
    expect((await sandbox.getMetrics()).at(-1)).toMatchObject({ diskTotal: total })

    // Taken without being written, so the machine's own disk has what it had.
    await print('fallocate -l $(($(df -B1 --output=avail / | tail -1) - 4194304)) large')
    const full = await sandbox.commands.run('head -c 8M /dev/urandom > rest').catch((error) => error)
    expect(full).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('No space left on device') })
    const upload = sandbox.files.write('more', new Blob([new Uint8Array(8 * 2 ** 20)]))
    await expect(upload).rejects.toBeInstanceOf(sdks[0]!.sdk.NotEnoughSpaceError)
    const other = await Sandbox.create()
    await other.files.write('more', 'room here')
    await other.kill()

    // It can be kept like any other, and used again once something is removed.
    await sandbox.pause({ keepMemory: false })
    await sandbox.connect()
    await print('rm large rest')
    await sandbox.files.write('more', 'room again')
    const [fork] = await sandbox.fork()
    if (!(fork instanceof Sandbox)) throw fork
    expect(await fork.files.read('more')).toBe('room again')
    await fork.kill()
    await sandbox.kill()
  })
}

test('FUSE is not there, as README says', async () => {
  const sandbox = await Sandbox.create()
  const { stdout } = await sandbox.commands.run(
    'test -e /dev/fuse && echo device; sudo mknod /tmp/fuse c 10 229 && sudo dd if=/tmp/fuse of=/dev/null count=0 2>/dev/null && echo made; echo end',
  )
  expect(stdout).toBe('end\n')
  expect(readme).toMatch(/^- FUSE \(`\/dev\/fuse`\) and Docker inside a sandbox don't work, also for root/m)
  await sandbox.kill()
})

if (testedRuntime() === 'docker')
  test('mounts are refused, as README says', async () => {
    const sandbox = await Sandbox.create()
    for (const command of ['sudo mount -t tmpfs none /mnt', 'sudo unshare -m true', 'unshare -Ur true'])
      expect(await sandbox.commands.run(command).catch((error) => error)).toMatchObject({
        exitCode: expect.toSatisfy((code) => code > 0),
        stderr: expect.stringMatching(/denied|not permitted/),
      })
    expect(readme).toMatch(/on Docker neither do `mount` and `unshare`/)
    await sandbox.kill()
  })
else
  test('root mounts what is the sandbox’s own, and so does everybody in a user name space', async () => {
    const sandbox = await Sandbox.create()
    const print = async (command: string) => (await sandbox.commands.run(command)).stdout
    await print('sudo mount -t tmpfs -o size=1m none /mnt && sudo mkdir /mnt/upper /mnt/work /mnt/merged')
    await print(
      'sudo mount -t overlay none -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work /mnt/merged',
    )
    expect(await print('echo other | sudo tee /mnt/merged/hostname && cat /mnt/upper/hostname')).toBe(
      'other\nother\n',
    )
    expect(await print('sudo mount --bind /usr /srv && ls /srv/bin/env && sudo umount /srv')).toBe(
      '/srv/bin/env\n',
    )
    expect(
      await print("unshare -Urmpf sh -c 'mount -t tmpfs none /srv && echo x > /srv/x && id -u'; ls /srv"),
    ).toBe('0\n')
    const builder = [
      'mount -t tmpfs none /srv && cd /srv && mkdir usr old',
      'mount --rbind /usr usr && ln -s usr/bin bin && ln -s usr/lib lib && ln -s usr/lib64 lib64',
      'pivot_root . old && ls /',
    ]
    expect(await print(`sudo unshare -m sh -c '${builder.join(' && ')}'`)).toBe('bin\nlib\nlib64\nold\nusr\n')

    // It is kept, resumed, measured, copied and ended as any other.
    await sandbox.pause()
    await sandbox.connect()
    expect(await print('cat /mnt/merged/hostname')).toBe('other\n')
    const [fork] = await sandbox.fork()
    if (!(fork instanceof Sandbox)) throw fork
    expect((await fork.commands.run('ls /mnt; ls /srv')).stdout).toBe('')
    await fork.kill()
    await sandbox.pause({ keepMemory: false })
    await sandbox.connect()
    expect(await print('ls /mnt')).toBe('')
    await sandbox.kill()
  })

/** Makes tmpfs and unmounts them until that fails. */
const mountOn = `
import ctypes, errno
libc, made = ctypes.CDLL(None, use_errno=True), 0
while made < 9000 and libc.mount(b'none', b'/srv', b'tmpfs', 0, None) == 0:
    libc.umount2(b'/srv', 2)
    made += 1
print(made, errno.errorcode[ctypes.get_errno()])
`
if (testedRuntime() === 'native')
  test('a sandbox makes no more file systems than its share, which is its own', async () => {
    const sandbox = await Sandbox.create()
    const other = await Sandbox.create()
    await sandbox.files.write('/tmp/mount-on.py', mountOn)
    const [made, error] = (await sandbox.commands.run('sudo python3 /tmp/mount-on.py')).stdout.split(/\s/)
    expect(error).toBe('ENOSPC')
    expect(Number(made)).toBeGreaterThanOrEqual(4096)
    expect(Number(made)).toBeLessThan(4300)
    // What makes none goes on.
    expect((await sandbox.commands.run('sudo mount --bind /usr /srv && ls /srv/bin/env')).exitCode).toBe(0)
    expect((await other.commands.run('sudo mount -t tmpfs none /srv')).exitCode).toBe(0)
    await Promise.all([sandbox.kill(), other.kill()])
  })
