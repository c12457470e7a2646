"""Kernels by fork: what a kernel imports is imported once, and each one is a copy of the process that has it."""

import ctypes
import gc
import importlib
import json
import os
import signal
import site
import socket
import sys
from typing import Any

# What a kernel imports in the course of its start.
import code_interpreter_kernel.display  # noqa: F401

_PR_SET_PDEATHSIG = 1
_ENDED = b""


def serve() -> str:
    """
    Answers requests on stdin, a line each: with `{"pid": …}`, with `{"outdated": true}` where a file that was imported
    has changed since, or with `{"error": …}`. Returns in each kernel to be, and never here: it ends with the last of its
    kernels once nobody asks any more.
    """
    files = _imported()
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    requests = socket.socket(fileno=os.dup(0))
    # Kernels that end are nobody's to wait for.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    gc.collect()
    # Copies share what they don't write to, and collecting would write to all of it.
    gc.freeze()
    own = os.getpid()
    with requests.makefile("rwb") as lines:
        while (line := lines.readline()) != _ENDED:
            answer = {"outdated": True} if any(_changed_at(file) != at for file, at in files.items()) else _fork()
            if answer == {"pid": 0}:
                prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
                if os.getppid() != own:
                    os._exit(1)
                break
            lines.write(json.dumps(answer).encode() + b"\n")
            lines.flush()
    requests.close()
    if os.getpid() != own:
        return _become_kernel(json.loads(line))
    try:
        os.wait()
    finally:
        os._exit(0)


def _fork() -> dict[str, Any]:
    try:
        return {"pid": os.fork()}
    except OSError as failure:
        return {"error": failure.strerror}


def _become_kernel(request: dict[str, Any]) -> str:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(request["env"], JPY_PARENT_PID=str(os.getppid()))
    os.chdir(request["cwd"])
    # Packages may have been installed since.
    importlib.invalidate_caches()
    site.main()
    return request["connection_file"]


def _imported() -> dict[str, int]:
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    return {file: _changed_at(file) for file in files if file}


def _changed_at(file: str) -> int:
    try:
        return os.stat(file).st_mtime_ns
    except OSError:
        return 0
