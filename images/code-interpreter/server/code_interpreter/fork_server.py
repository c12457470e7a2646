"""Python's kernels as copies of one process that has imported what they need: a tenth of a start's time each."""

import asyncio
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
from typing import Any

LAUNCHER = "/opt/code-interpreter/kernel/launch.py"
_PROGRAM = ["setpriv", "--pdeathsig", "KILL", "/usr/bin/python3", LAUNCHER]


class ForkedProcess:
    """A kernel's process, as `subprocess.Popen` would have it: it isn't our child."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int):
        self.pid = pid
        self._pidfd = os.pidfd_open(pid)

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError, OSError):
            os.close(self._pidfd)

    def poll(self) -> int | None:
        """None while it runs."""
        return 0 if select.select([self._pidfd], [], [], 0)[0] else None

    def wait(self) -> int:
        """Until it has ended."""
        select.select([self._pidfd], [], [])
        return 0

    def send_signal(self, number: int) -> None:
        """To it alone. Errors: `ProcessLookupError`."""
        signal.pidfd_send_signal(self._pidfd, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


class ForkServer:
    """Started by its first request, and again when it has ended or something else is installed than it has imported."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._former: list[subprocess.Popen[bytes]] = []

    @staticmethod
    def can_start(argv: list[str], env: dict[str, str]) -> bool:
        """Whether a kernel's specification is the one that the server's copies are made by."""
        return argv[: len(_PROGRAM)] == _PROGRAM and not env

    async def fork(self, *, connection_file: str, cwd: str, env: dict[str, str]) -> ForkedProcess:
        """Starts a kernel. Errors: `OSError` where none can be started."""
        request = json.dumps({"connection_file": connection_file, "cwd": cwd, "env": env}).encode() + b"\n"
        async with self._lock:
            self._former = [process for process in self._former if process.poll() is None]
            for _ in range(3):
                answer = await self._ask(request)
                if "pid" in answer:
                    return ForkedProcess(answer["pid"])
                if "error" in answer:
                    raise OSError(None, answer["error"])
                self.close()
        raise OSError(None, "the kernels' server does not start")

    def close(self) -> None:
        """What runs goes on; the process ends when the last of its kernels has."""
        if self._process is not None:
            self._former.append(self._process)
        if self._streams is not None:
            self._streams[1].close()
        self._process = self._streams = None

    async def _ask(self, request: bytes) -> dict[str, Any]:
        try:
            reader, writer = self._streams or await self._start()
            writer.write(request)
            await writer.drain()
            line = await reader.readline()
            return json.loads(line)
        except (ConnectionError, ValueError):
            return {}
        except BaseException:
            # Its answer would be the next one's.
            self.close()
            raise

    async def _start(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        ours, theirs = socket.socketpair()
        with theirs:
            command = [*_PROGRAM, "--fork-server"]
            self._process = subprocess.Popen(command, stdin=theirs, cwd="/", start_new_session=True)
        self._streams = await asyncio.open_connection(sock=ours)
        return self._streams
