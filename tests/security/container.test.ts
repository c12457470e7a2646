/**
 * Ways out of a container, for whoever is root in it. What the machine itself hasn't (a file, a family of sockets) can't be had
 * anywhere on it, so it isn't tried there and doesn't count; what it has counts as held where it isn't seen inside.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { beforeAll, describe, expect, test } from 'vitest'
import { testedRuntime } from '../../scripts/test/runtime.mjs'
import { attemptInside } from './support/inside.ts'

/**
 * Name; expression as inside/attempts.py understands it; what the machine must have: a file, or a family of sockets; and how it
 * may be refused beside: a mount that is locked by EINVAL, a call of mounts by the filter's ENOSYS.
 */
type Attempt = [string, string, (string | number | undefined)?, (22 | 38)?]

/** What a sandbox has of its own on the native runtime. */
const onDocker: Attempt[] = [
  ['mounting an overlay', "call('mount', b'none', b'/mnt', b'overlay', 0, b'lowerdir=/:/etc')"],
  ['a new root', "call('pivot_root', b'/', b'/mnt')"],
  ['a user namespace', "call('unshare', 0x10000000)"],
  ['a mount namespace', "call('unshare', 0x00020000)"],
  ['a PID namespace', "call('unshare', 0x20000000)"],
  ['mounting a tmpfs', "call('mount', b'none', b'/mnt', b'tmpfs', 0, None)"],
  ['mounting another place on itself', "call('mount', b'/etc', b'/mnt', None, 4096, None)"],
]

const all: Attempt[] = [
  ...(testedRuntime() === 'docker' ? onDocker : []),
  ['a network namespace', "call('unshare', 0x40000000)"],
  ['a UTS namespace', "call('unshare', 0x04000000)"],
  ['an IPC namespace', "call('unshare', 0x08000000)"],
  ['a cgroup namespace', "call('unshare', 0x02000000)"],
  ['entering the first process’s namespaces', "call('setns', os.open('/proc/1/ns/mnt', 0), 0)"],
  ['mounting /proc anew', "call('mount', b'proc', b'/mnt', b'proc', 0, None)"],
  ['mounting sysfs', "call('mount', b'none', b'/mnt', b'sysfs', 0, None)"],
  ['mounting cgroups', "call('mount', b'none', b'/mnt', b'cgroup', 0, b'memory')"],
  ['making a mount writable', "call('mount', None, b'/sys', None, 32, None)"],
  ['unmounting what hides parts of /proc', "call('umount2', b'/proc/kcore', 2)", '/proc/kcore', 22],
  ['unmounting what it is shown as its memory', "call('umount2', b'/proc/meminfo', 2)", undefined, 22],
  ['making that writable', "call('mount', None, b'/proc/meminfo', None, 32, None)"],
  ['writing to it', "write('/proc/meminfo', 'x')"],
  ['a detached copy of the tree', "call('open_tree', -100, b'/', 1)", undefined, 38],
  ['a new file system', "call('fsopen', b'tmpfs', 0)", undefined, 38],
  ['the first disk', 'device(0o060000, 8, 0)'],
  ['the first virtual disk', 'device(0o060000, 253, 0) or device(0o060000, 254, 0)'],
  ['the machine’s memory as a device', 'device(0o020000, 1, 1)'],
  ['the kernel’s log as a device', 'device(0o020000, 1, 11)'],
  ['the machine’s ports as a device', 'device(0o020000, 1, 4)'],
  ['a loop device', 'device(0o060000, 7, 0)'],
  ['the device of FUSE', 'device(0o020000, 10, 229)'],
  ['the virtual machine’s device', 'device(0o020000, 10, 232)'],
  ['an interface of a tunnel', 'tunnel()'],
  ['setting the clock', 'time.clock_settime(time.CLOCK_REALTIME, time.time() + 60)'],
  ['setting the time of day', "call('settimeofday', struct.pack('qq', 1, 0), None)"],
  ['loading a module', "call('init_module', b'x', 1, b'')"],
  ['loading a module from a file', "call('finit_module', os.open('/bin/sh', 0), b'', 0)"],
  ['unloading a module', "call('delete_module', b'bridge', 0x800)"],
  ['another kernel', "call('kexec_load', 0, 0, None, 0)"],
  ['a program for the kernel', "call('bpf', 5, bytes(64), 64)"],
  ['counters of the processor', "call('perf_event_open', bytes(112), 0, -1, -1, 0)"],
  [
    'a file by its handle',
    "call('open_by_handle_at', os.open('/etc', 0), struct.pack('Ii', 8, 1) + bytes(8), 0)",
  ],
  ['accounting of processes', "call('acct', b'/tmp/accounting')"],
  ['swap', "call('swapon', b'/tmp/none', 0)"],
  ['swap off', "call('swapoff', b'/none')"],
  ['quotas', "call('quotactl', 0x800001, b'/dev/vda', 0, None)"],
  ['the kernel’s log', "call('syslog', 3, ctypes.create_string_buffer(100), 100)"],
  ['the privilege of ports', "call('iopl', 3)"],
  ['some ports', "call('ioperm', 0x70, 2, 1)"],
  ['watching a whole file system', "call('fanotify_init', 0, 0)"],
  ['a restart', "call('reboot', 0xfee1dead, 672274793, 0x89abcdef, None)"],
  ['a key of the kernel', "call('add_key', b'user', b'x', b'y', 1, -3)"],
  ['the keyring', "call('keyctl', 0, -3, 1)"],
  ['asking for a key', "call('request_key', b'user', b'x', None, -3)"],
  ['sysrq', "write('/proc/sysrq-trigger', 'h')", '/proc/sysrq-trigger'],
  ['the pattern of core dumps', "write('/proc/sys/kernel/core_pattern', '|/tmp/x')"],
  [
    'the program that loads modules',
    "write('/proc/sys/kernel/modprobe', '/tmp/x')",
    '/proc/sys/kernel/modprobe',
  ],
  ['the host’s forwarding', "write('/proc/sys/net/ipv4/ip_forward', '1')"],
  ['how much memory is promised', "write('/proc/sys/vm/overcommit_memory', '1')"],
  ['most process ids', "write('/proc/sys/kernel/pid_max', '100')"],
  [
    'programs for strange formats',
    "write('/proc/sys/fs/binfmt_misc/register', ':x:M::x::/tmp/x:')",
    '/proc/sys/fs/binfmt_misc/register',
  ],
  [
    'an agent of the cgroups',
    "write('/sys/fs/cgroup/memory/release_agent', '/tmp/x')",
    '/sys/fs/cgroup/memory/release_agent',
  ],
  [
    'a limit of memory',
    "write('/sys/fs/cgroup/memory/memory.limit_in_bytes', '-1')",
    '/sys/fs/cgroup/memory/memory.limit_in_bytes',
  ],
  [
    'a limit of memory, of cgroups v2',
    "write('/sys/fs/cgroup/memory.max', 'max')",
    '/sys/fs/cgroup/cgroup.controllers',
  ],
  ['a limit of processes', "write('/sys/fs/cgroup/pids/pids.max', 'max')", '/sys/fs/cgroup/pids'],
  [
    'a limit of processes, of cgroups v2',
    "write('/sys/fs/cgroup/pids.max', 'max')",
    '/sys/fs/cgroup/cgroup.controllers',
  ],
  ['a cgroup of its own', "os.mkdir('/sys/fs/cgroup/pids/x') or os.mkdir('/sys/fs/cgroup/x')"],
  ['the helper of devices', "write('/sys/kernel/uevent_helper', '/tmp/x')", '/sys/kernel/uevent_helper'],
  ['the machine’s sleep', "write('/sys/power/state', 'mem')", '/sys/power/state'],
  ['being spared when memory is short', "write('/proc/self/oom_score_adj', '-1000')"],
  ['the kernel’s memory', "read('/proc/kcore')", '/proc/kcore'],
  [
    'the engine’s socket',
    "socket.socket(socket.AF_UNIX).connect('/var/run/docker.sock')",
    '/var/run/docker.sock',
  ],
  [
    'the runtime’s socket',
    "socket.socket(socket.AF_UNIX).connect('/run/containerd/containerd.sock')",
    '/run/containerd/containerd.sock',
  ],
  ['a set-user-ID bit on the agent’s program', "os.chmod(os.readlink('/proc/1/exe'), 0o4755)"],
  ['a change of the agent’s program through the first process', "os.utime('/proc/1/exe')"],
  [
    'the file of a library of the host',
    "os.open('/proc/1/root/proc/1/root/var/lib/docker', 0)",
    '/var/lib/docker',
  ],
  ['an address of the network', "run('ip', 'addr', 'add', '10.9.9.9/24', 'dev', 'eth0')"],
  ['an interface of the network', "run('ip', 'link', 'add', 'dummy9', 'type', 'dummy')"],
  ['packets of any kind', 'socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x0300)'],
  ['sockets of Bluetooth', 'socket.socket(31, socket.SOCK_RAW, 1)', 31],
  ['sockets of the kernel’s ciphers over a bad type', 'socket.socket(38, socket.SOCK_STREAM, 0)', 38],
  ['sockets of AppleTalk', 'socket.socket(5, socket.SOCK_DGRAM, 0)', 5],
  ['sockets of IPX', 'socket.socket(4, socket.SOCK_DGRAM, 0)', 4],
  ['sockets of amateur radio', 'socket.socket(3, socket.SOCK_DGRAM, 0)', 3],
  ['sockets of CAN', 'socket.socket(29, socket.SOCK_RAW, 1)', 29],
  ['sockets of TIPC', 'socket.socket(30, socket.SOCK_RDM, 0)', 30],
  ['sockets of RDS', 'socket.socket(21, socket.SOCK_SEQPACKET, 0)', 21],
  ['a ring of io_uring', "call('io_uring_setup', 8, bytes(120))"],
  ['faults of other processes’ memory', "call('userfaultfd', 0)"],
  ['sockets of the hypervisor', 'socket.socket(40, socket.SOCK_STREAM, 0)'],
]

const attempts = all.filter(([, , needed]) => needed === undefined || machineHas(needed))

let outcomes: string[]
beforeAll(async () => {
  outcomes = await attemptInside([...attempts.map(([, expression]) => expression), 'read("/etc/hostname")'])
}, 200_000)

describe('root of a sandbox doesn’t get', () => {
  test.each(attempts.map(([name], index) => ({ name, index })))('$name', ({ index }) => {
    const [, , needed, otherwise] = attempts[index] as Attempt
    // EPERM, EACCES, EROFS: a right that lacks, or a mount that is read-only. ENOENT where the machine has it.
    const errnos = [1, 13, 30, ...(typeof needed === 'string' ? [2] : []), ...(otherwise ? [otherwise] : [])]
    expect(outcomes[index]).toMatch(new RegExp(`^held: \\[Errno (${errnos.join('|')})\\] `))
  })
})

test('what may be done succeeds', () => {
  expect(outcomes.at(-1)).toBe('succeeded')
})

/** The family's number is looked up by root on the machine, so what says no is the kernel, which hasn't it. */
function machineHas(needed: string | number): boolean {
  if (typeof needed === 'string') return existsSync(needed)
  const kinds =
    'socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_RDM, socket.SOCK_SEQPACKET'
  const program = `import errno, socket, sys
for kind in (${kinds}):
  try:
    socket.socket(${needed}, kind).close()
  except OSError as error:
    if error.errno == errno.EAFNOSUPPORT: continue
  sys.exit(0)
sys.exit(9)`
  const { status } = spawnSync('python3', ['-c', program], { timeout: 10_000 })
  expect([0, 9]).toContain(status)
  return status === 0
}
