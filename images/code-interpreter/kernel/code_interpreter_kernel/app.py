"""IPython's kernel with our configuration, and with output that waits for its reader."""

import os
import sys
from collections.abc import Callable

import zmq
from ipykernel.iostream import OutStream
from ipykernel.kernelapp import IPKernelApp
from traitlets import DottedObjectName
from traitlets.config import Config

PENDING_CHARACTERS = 1024 * 1024
"""Printed text that is held before whoever prints waits"""
HELD_MESSAGES = 16


class WaitingStream(OutStream):
    """Printing waits where output isn't read: endless output costs time, not memory."""

    _pending = 0

    def write(self, string: str) -> int | None:
        written = super().write(string)
        self._pending += len(string)
        if self._pending >= PENDING_CHARACTERS:
            self._pending = 0
            self.flush()
        return written

    def close(self) -> None:
        """Code that closes its output has closed it for itself, not for what runs after it."""
        self.flush()


class KernelApp(IPKernelApp):
    """The kernel's program."""

    outstream_class = DottedObjectName(f"{WaitingStream.__module__}.{WaitingStream.__name__}").tag(config=True)

    def init_iopub(self, context: zmq.Context) -> None:
        # The socket's default is to drop what a slow reader has no room for.
        context.setsockopt(zmq.XPUB_NODROP, 1)
        context.setsockopt(zmq.SNDHWM, HELD_MESSAGES)
        try:
            super().init_iopub(context)
        finally:
            context.sockopts.clear()

    def init_shell(self) -> None:
        super().init_shell()
        if self.shell is not None:
            self.shell.events.register("post_execute", _end_if_forked(os.getpid()))
        os.register_at_fork(after_in_child=_outlast_the_kernel)

    def log_connection_info(self) -> None:
        """Who started it knows."""

    def load_config_file(self, *args: object, **kwargs: object) -> None:
        config = Config()
        config.InteractiveShell.colors = "nocolor"
        config.PlainTextFormatter.max_seq_length = 0
        # Nothing asks for it, and it costs a database.
        config.HistoryManager.enabled = False
        config.InteractiveShellApp.extensions = ["code_interpreter_kernel.display"]
        self.update_config(config)
        # What a user has configured comes last.
        super().load_config_file(*args, **kwargs)


def _outlast_the_kernel() -> None:
    """Where copies without end use up the memory, the kernel is the first to be killed, and takes all of them along."""
    try:
        with open("/proc/self/oom_score_adj", "r+") as file:
            score = int(file.read())
            file.seek(0)
            file.write(str(max(score - 10, 0)))
    except OSError:
        # It is as likely as the kernel then.
        pass


def _end_if_forked(own: int) -> Callable[[], None]:
    """A copy of the kernel that code has made by `os.fork` and has left ends with that code: two would answer else."""

    def end() -> None:
        if os.getpid() != own:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)

    return end
