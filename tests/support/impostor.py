# Takes the agent's place as root of a sandbox: relays everything to a real agent but `list-dir`, which it answers with
# one frame of empty entries. Run in the directory of the agent's socket, or, where no such file is seen inside, in any:
# then it is process 1 that has to hand over what it listens on. Makes `in-place` there.
import ctypes, os, socket, struct, subprocess, threading, time

ATTACH, SINGLESTEP, GETREGS, SETREGS = 16, 9, 12, 13
# In `user_regs_struct`
R10, RAX, RDX, RSI, RDI, ORIG_RAX, RIP, RSP = 7, 10, 12, 13, 14, 15, 16, 19
WAIT_ALL = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, task, data=None):
    if libc.ptrace(request, task, None, data) == -1:
        raise OSError(ctypes.get_errno(), 'ptrace')


def take_path():
    os.rename('agent.sock', 'real.sock')
    server = socket.socket(socket.AF_UNIX)
    server.bind('agent.sock')
    os.chmod('agent.sock', 0o777)
    server.listen(512)
    return server


def take_descriptor():
    """Stops process 1 for good, in a system call, and has it make three of ours first: what it listens on comes to us."""
    for task in os.listdir('/proc/1/task'):
        ptrace(ATTACH, int(task))
        os.waitpid(int(task), WAIT_ALL)
    registers = (ctypes.c_ulonglong * 27)()
    ptrace(GETREGS, 1, registers)
    memory = os.open('/proc/1/mem', os.O_RDWR)
    instruction = registers[RIP] - 2
    if os.pread(memory, 2, instruction) != b'\x0f\x05':
        raise OSError('process 1 is in no system call')
    place = (registers[RSP] - 65536) & ~15

    def call(number, *values):
        ours = (ctypes.c_ulonglong * 27)(*registers)
        ours[RIP], ours[RAX], ours[ORIG_RAX] = instruction, number, 2**64 - 1
        for register, value in zip((RDI, RSI, RDX, R10), values):
            ours[register] = value
        ptrace(SETREGS, 1, ours)
        ptrace(SINGLESTEP, 1)
        os.waitpid(1, WAIT_ALL)
        ptrace(GETREGS, 1, ours)
        result = ctypes.c_longlong(ours[RAX]).value
        if result < 0:
            raise OSError(-result, f'system call {number}')
        return result

    receiver = socket.socket(socket.AF_UNIX)
    receiver.bind('receiver.sock')
    receiver.listen(1)
    address = struct.pack('<H', socket.AF_UNIX) + os.path.abspath('receiver.sock').encode() + b'\0'
    control = struct.pack('<QiiiI', 20, socket.SOL_SOCKET, socket.SCM_RIGHTS, 3, 0)
    vector = struct.pack('<QQ', place + 512, 1)
    message = struct.pack('<QQQQQQQ', 0, 0, place + 256, 1, place + 320, len(control), 0)
    for offset, part in ((0, address), (256, vector), (320, control), (384, message), (512, b'x')):
        os.pwrite(memory, part, place + offset)
    sender = call(41, socket.AF_UNIX, socket.SOCK_STREAM, 0)
    call(42, sender, place, len(address))
    call(46, sender, place + 384, 0)
    _, (descriptor,), _, _ = socket.recv_fds(receiver.accept()[0], 1, 1)
    return socket.socket(fileno=descriptor)


if os.path.exists('agent.sock'):
    server = take_path()
else:
    server = take_descriptor()
    subprocess.Popen(['/proc/1/exe', '--listen', 'unix:real.sock', '--no-http'])
    while not os.path.exists('real.sock'):
        time.sleep(0.01)


def frame(kind, payload):
    return struct.pack('>IB', len(payload), kind) + payload


def relay(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    finally:
        for each in (source, target):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def serve(client):
    head = client.recv(65536)
    if b'"list-dir"' in head:
        entries = b'{"entries":[' + b','.join([b'{}'] * 1398094) + b']}'
        try:
            client.sendall(frame(0x02, b'{}') + frame(0x05, entries[: 4 * 2**20]))
        except OSError:
            pass
        client.close()
        return
    real = socket.socket(socket.AF_UNIX)
    real.connect('real.sock')
    real.sendall(head)
    threading.Thread(target=relay, args=(client, real), daemon=True).start()
    threading.Thread(target=relay, args=(real, client), daemon=True).start()


open('in-place', 'w').close()
while True:
    connection, _ = server.accept()
    threading.Thread(target=serve, args=(connection,), daemon=True).start()
