import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { baseImageName, buildBaseImage } from '../../../images/base/build.mjs'
import type { GuestHandle, Runtime } from '../../domain/runtime.ts'
import { guestOf, guestSpec, run } from '../tools.suite.ts'
import { container, patience, server } from './runtime.fixture.ts'

const image = await baseImageName()
const memoryMb = 512
let one: Awaited<ReturnType<typeof server>>
let runtime: Runtime
let handle: GuestHandle

beforeAll(async () => {
  await buildBaseImage({ log: () => {} })
  one = await server()
  runtime = one.create()
  handle = await runtime.start(guestSpec(image, { memoryMb }), patience())
}, 15 * 60_000)
afterAll(async () => {
  await runtime.close()
  await one.dispose()
})

const inside = (command: string) => run(guestOf(runtime, handle), command)
/** A program, with quotes and line breaks of its own. */
const python = (program: string) => inside(`python3 - <<'END'\n${program}\nEND`)

/** Numbers of system calls, which are the same on all newer architectures from 424 on. */
const numbers = {
  x64: { userfaultfd: 323, keyctl: 250, add_key: 248, request_key: 249, bpf: 321, perf_event_open: 298 },
  arm64: { userfaultfd: 282, keyctl: 219, add_key: 217, request_key: 218, bpf: 280, perf_event_open: 241 },
}[process.arch as 'x64' | 'arm64']
const refused = { ...numbers, io_uring_setup: 425, io_uring_enter: 426, io_uring_register: 427 }

test.each(Object.entries(refused))('%s is refused, also to root', async (_, number) => {
  const call = `import ctypes
libc = ctypes.CDLL(None, use_errno=True)
print(libc.syscall(${number}, 0, 0, 0, 0, 0), ctypes.get_errno())`
  expect((await python(call)).stdout).toBe('-1 1\n')
})

test('there are no sockets to a hypervisor, and those of programs are there', async () => {
  const open = `import socket
for family in (40, socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
  try:
    socket.socket(family, socket.SOCK_STREAM)
    print('open')
  except OSError as error:
    print(error.errno)`
  expect((await python(open)).stdout).toBe('1\nopen\nopen\nopen\n')
})

test('programs work: threads, children, a debugger, another libc call for clone3', async () => {
  const program = `import ctypes, os, subprocess, threading
thread = threading.Thread(target=lambda: print('thread', flush=True))
thread.start(); thread.join()
print(subprocess.check_output(['echo', 'child']).decode(), end='', flush=True)
libc = ctypes.CDLL(None, use_errno=True)
print(libc.syscall(435, 0, 0), ctypes.get_errno(), flush=True)
child = os.fork()
if child == 0:
  libc.ptrace(0, 0, 0, 0)
  os.kill(os.getpid(), 19)
  os._exit(3)
_, status = os.waitpid(child, 0)
print('traced', os.WIFSTOPPED(status), flush=True)
libc.ptrace(7, child, 0, 0)
print(os.WEXITSTATUS(os.waitpid(child, 0)[1]))`
  expect((await python(program)).stdout).toBe('thread\nchild\n-1 38\ntraced True\n3\n')
})

test('half of the memory can be shared memory', async () => {
  const fill = `from multiprocessing import shared_memory
block = shared_memory.SharedMemory(create=True, size=100 << 20)
block.buf[:] = bytes(100 << 20)
block.close(); block.unlink(); print('ok')`
  expect((await inside('df -m --output=size /dev/shm | tail -1')).stdout.trim()).toBe('256')
  expect((await python(fill)).stdout).toBe('ok\n')
})

test('the loopback has the address of IPv6, and no other link has one', async () => {
  const bind = `import socket
server = socket.create_server(('::1', 0), family=socket.AF_INET6)
socket.create_connection(server.getsockname()[:2]).close()
for address in ('2001:db8::1', 'fe80::1%eth0'):
  try:
    socket.create_connection((address, 80), 1)
    print('reached')
  except OSError as error:
    print(type(error).__name__)
for line in open('/proc/net/if_inet6'):
  print(line.split()[-1])`
  const { stdout } = await python(bind)
  const lines = stdout.trim().split('\n')
  expect(lines.slice(0, 2)).not.toContain('reached')
  expect(lines.slice(2)).toEqual(['lo'])
})

test('processes are limited to a share of the kernel’s', async () => {
  const { PidsLimit: limit } = (await container(handle).inspect()).HostConfig
  const pidMax = Number(await readFile('/proc/sys/kernel/pid_max', 'utf8'))
  expect(limit).toBeGreaterThan(0)
  expect(limit).toBeLessThanOrEqual(pidMax / 2)
})
