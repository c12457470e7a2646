# Takes the agent's place as root of a sandbox: relays everything to the real agent but `list-dir`, which it answers with
# one frame of empty entries. Run in the directory of the agent's socket.
import os, socket, struct, threading

os.rename('agent.sock', 'real.sock')
server = socket.socket(socket.AF_UNIX)
server.bind('agent.sock')
os.chmod('agent.sock', 0o777)
server.listen(512)


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


print('in place', flush=True)
while True:
    connection, _ = server.accept()
    threading.Thread(target=serve, args=(connection,), daemon=True).start()
