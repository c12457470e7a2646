"""Makes attempts that a sandbox's root must not succeed with: `attempts.py < list`, a JSON list of Python expressions.

Each runs in a process of its own with a deadline. Prints a JSON list of what each came to: `held: <why>` where it was
refused by an OSError, `succeeded` where it wasn't, else what went wrong with the attempt itself.
"""
import ctypes, fcntl, json, os, platform, signal, socket, struct, subprocess, sys, time

libc = ctypes.CDLL(None, use_errno=True)
ARM = platform.machine() == 'aarch64'
NUMBERS = {  # x86-64, arm64
    'bpf': (321, 280), 'perf_event_open': (298, 241), 'userfaultfd': (323, 282), 'io_uring_setup': (425, 425),
    'add_key': (248, 217), 'keyctl': (250, 219), 'init_module': (175, 105), 'finit_module': (313, 273),
    'delete_module': (176, 106), 'kexec_load': (246, 104), 'open_by_handle_at': (304, 265), 'acct': (163, 89),
    'swapon': (167, 224), 'swapoff': (168, 225), 'pivot_root': (155, 41), 'quotactl': (179, 60), 'syslog': (103, 116),
    'move_mount': (429, 429), 'open_tree': (428, 428), 'fsopen': (430, 430), 'iopl': (172, None), 'ioperm': (173, None),
    'setns': (308, 268), 'unshare': (272, 97), 'mount': (165, 40), 'umount2': (166, 39), 'reboot': (169, 142),
    'settimeofday': (164, 170), 'sethostname': (170, 161), 'process_vm_readv': (310, 270), 'fanotify_init': (300, 262),
    'vhangup': (153, 58), 'lookup_dcookie': (212, 18), 'kcmp': (312, 272), 'request_key': (249, 218),
}


def call(name, *args):
    """A system call by its number. Raises OSError where it fails."""
    number = NUMBERS[name][1 if ARM else 0]
    if number is None:
        raise OSError(38, 'not on this machine')
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in args])
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def write(path, text):
    """Into a file that there is; raises OSError where it isn't, or may not."""
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def read(path):
    with open(path, 'rb') as file:
        return file.read(64)


def device(kind, major, minor):
    """Makes a device node and opens it."""
    path = f'/tmp/device-{major}-{minor}'
    os.mknod(path, kind | 0o600, os.makedev(major, minor))
    try:
        os.close(os.open(path, os.O_RDWR))
    finally:
        os.unlink(path)


def tunnel():
    """Engines let the device be opened; what makes an interface of it is the ioctl."""
    os.mknod('/tmp/tunnel', 0o020600, os.makedev(10, 200))
    try:
        fcntl.ioctl(os.open('/tmp/tunnel', os.O_RDWR), 0x400454CA, struct.pack('16sH22x', b'tun9', 1))
    finally:
        os.unlink('/tmp/tunnel')


def run(*command):
    """A program that must end with 0; raises OSError where it doesn't."""
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=4)
    if ended.returncode != 0:
        raise OSError(1, ended.stderr.decode(errors='replace').strip()[:80])


def tcp(host, port):
    socket.create_connection((host, port), timeout=2).close()


def udp(host, port, waits=1.0):
    """Sends and waits for an answer; TimeoutError is an OSError."""
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(waits)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.sendto(b'x', (host, port))
        sock.recv(16)


def icmp(host):
    """An echo, as whoever may not have raw sockets asks for it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as sock:
        sock.settimeout(1)
        sock.sendto(bytes([8, 0, 0, 0, 0, 0, 0, 1]), (host, 0))
        sock.recv(64)


def udp_from(source, host, port):
    """From an address that isn't the sandbox's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(1)
        sock.setsockopt(socket.IPPROTO_IP, 15, 1)  # IP_FREEBIND
        sock.bind((source, 0))
        sock.sendto(b'x', (host, port))
        sock.recv(16)


def tcp_with(option, value, host, port):
    """With an option of the socket set."""
    with socket.socket() as sock:
        sock.settimeout(2)
        sock.setsockopt(socket.SOL_SOCKET, option, value)
        sock.connect((host, port))


def tcp_fast_open(host, port):
    """With data in the first packet."""
    with socket.socket() as sock:
        sock.sendto(b'x', 0x20000000, (host, port))  # MSG_FASTOPEN
        sock.recv(4)


def tcp_from_port(source, host, port):
    with socket.socket() as sock:
        sock.settimeout(2)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(('', source))
        sock.connect((host, port))


def resolve(name):
    """Succeeds with any answer, also that there is no such name."""
    try:
        socket.getaddrinfo(name, 80)
    except socket.gaierror as error:
        if error.errno != socket.EAI_NONAME:
            raise


def ask_engine(port):
    """Asks the engine's resolver about a name that isn't there."""
    question = b'\x12\x34\1\0\0\1\0\0\0\0\0\0\4name\7invalid\0\0\1\0\1'
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(2)
        sock.sendto(question, ('127.0.0.11', port))
        sock.recv(512)


def engine_port(kind):
    """Where the engine's resolver truly listens, behind port 53."""
    lines = open(f'/proc/net/{kind}').read().split('\n')[1:]
    return next(int(line.split()[1][9:], 16) for line in lines if '0B00007F:' in line.split()[1])


def netlink(family, kind, body=b''):
    """A request to the kernel's network; raises OSError with its answer."""
    with socket.socket(16, socket.SOCK_RAW, family) as sock:
        sock.settimeout(2)
        sock.send(struct.pack('=IHHII', 16 + len(body), kind, 5, 1, 0) + body)
        _, answered, _, _, _, error = struct.unpack('=IHHIIi', sock.recv(4096)[:20])
        if answered == 2 and error != 0:
            raise OSError(-error, os.strerror(-error))


def attempt(code):
    reads, writes = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.alarm(6)
        try:
            eval(code, globals())
            said = 'succeeded'
        except OSError as error:
            said = f'held: {error}'
        except BaseException as error:
            said = f'broken: {error!r}'
        os.write(writes, said.encode()[:200])
        os._exit(0)
    os.close(writes)
    said = b''
    while chunk := os.read(reads, 256):
        said += chunk
    os.close(reads)
    _, status = os.waitpid(pid, 0)
    return said.decode(errors='replace') or f'held: ended by signal {os.WTERMSIG(status)}'


print(json.dumps([attempt(code) for code in json.load(sys.stdin)]))
