"""A context: a language's kernel with its state, in which executions run one after another."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import aclosing
from uuid import uuid4

from . import languages
from .envd import global_variables
from .events import Event, error
from .fork_server import ForkServer
from .kernel import Kernel
from .launch import KernelError

RETRIES = 3
"""Kernels that may end at once before the next one waits for an execution"""
SHORT_LIFE_S = 5.0


class Context:
    """`start` comes first; after `stop` it is of no use. Executions wait for each other, in the order they came."""

    def __init__(self, language: str, cwd: str, forks: ForkServer):
        self.id = str(uuid4())
        self.language = language
        self.cwd = cwd
        self._forks = forks
        self._spoken = languages.find(language)
        self._lock = asyncio.Lock()
        self._kernel: Kernel | None = None
        self._starting: asyncio.Task[Kernel] | None = None
        self._settling: asyncio.Task[None] | None = None
        self._globals: dict[str, str] | None = None
        self._short_lives = 0
        self._started_at = 0.0
        self._stopped = False

    def describe(self) -> dict[str, str]:
        """What clients are told of it."""
        return {"id": self.id, "language": self.language, "cwd": self.cwd}

    async def start(self) -> None:
        """Resolves when its kernel runs. Errors: `KernelError`."""
        if not os.path.isdir(self.cwd):
            raise KernelError("Failed to set working directory")
        await self._running_kernel()

    async def stop(self) -> None:
        """Ends the kernel; what runs in it ends with an error."""
        self._stopped = True
        await self._drop_kernel()

    async def restart(self) -> None:
        """Begins anew with a fresh kernel. Errors: `KernelError`."""
        await self._drop_kernel()
        await self._running_kernel()

    async def execute(self, code: str, variables: dict[str, str], token: str | None) -> AsyncIterator[Event]:
        """Runs code and yields its events. A reader that leaves interrupts it."""
        async with self._lock:
            if self._settling is not None:
                await asyncio.shield(self._settling)
            try:
                kernel = await self._running_kernel()
            except KernelError as failure:
                yield error("ContextUnavailable", str(failure))
                return
            finished = False
            try:
                await self._set_variables(kernel, variables, token)
                async with aclosing(kernel.run(code)) as events:
                    async for event in events:
                        yield event
                finished = True
            finally:
                if not finished:
                    self._settling = asyncio.create_task(self._settle(kernel, variables))
                elif variables:
                    self._settling = asyncio.create_task(self._reset_variables(kernel, variables))

    async def _running_kernel(self) -> Kernel:
        if self._kernel is not None and not self._kernel.dead.is_set():
            return self._kernel
        if self._starting is None:
            self._starting = asyncio.create_task(self._start_kernel())
        return await asyncio.shield(self._starting)

    async def _start_kernel(self) -> Kernel:
        try:
            if self._stopped:
                raise KernelError("Failed to create context: it was removed")
            before, self._kernel = self._kernel, None
            if before is not None:
                await before.stop()
            self._globals = None
            environment = {**os.environ, "PWD": self.cwd}
            kernel = await Kernel.start(
                self._spoken, cwd=self.cwd, env=environment, forks=self._forks, on_death=self._on_death
            )
            if self._stopped:
                await kernel.stop()
                raise KernelError("Failed to create context: it was removed")
            self._started_at = asyncio.get_running_loop().time()
            self._kernel = kernel
            return kernel
        finally:
            self._starting = None

    async def _drop_kernel(self) -> None:
        if self._starting is not None:
            await asyncio.wait({self._starting})
        kernel, self._kernel = self._kernel, None
        if kernel is not None:
            await kernel.stop()

    def _on_death(self) -> None:
        """A kernel that was killed is started again at once, unless each one ends as soon as it runs."""
        short = asyncio.get_running_loop().time() - self._started_at < SHORT_LIFE_S
        self._short_lives = self._short_lives + 1 if short else 0
        if self._kernel is None or self._stopped or self._starting is not None or self._short_lives > RETRIES:
            return
        self._starting = asyncio.create_task(self._start_kernel())
        # Its error is for whoever executes next, who tries again.
        self._starting.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def _set_variables(self, kernel: Kernel, variables: dict[str, str], token: str | None) -> None:
        """The sandbox's variables once for each kernel, an execution's own before it."""
        code = []
        if self._globals is None:
            known = await global_variables(token)
            if known is not None:
                self._globals = known
                changed = {key: value for key, value in known.items() if os.environ.get(key) != value}
                # A Java program reads them as properties only.
                code = self._assignments(known if self.language == "java" else changed)
        code += self._assignments(variables)
        if code:
            await kernel.run_silently("\n".join(code))

    def _assignments(self, variables: dict[str, str]) -> list[str]:
        return [self._spoken.set_variable(key, value) for key, value in variables.items()]

    async def _reset_variables(self, kernel: Kernel, variables: dict[str, str]) -> None:
        base = {**os.environ, **(self._globals or {})}
        if self.language == "java":
            base = self._globals or {}
        code = [
            self._spoken.set_variable(key, base[key]) if key in base else self._spoken.delete_variable(key)
            for key in variables
        ]
        await kernel.run_silently("\n".join(code))

    async def _settle(self, kernel: Kernel, variables: dict[str, str]) -> None:
        """After a reader has left: the next execution finds the kernel idle."""
        await kernel.interrupt()
        if variables and not kernel.dead.is_set():
            await self._reset_variables(kernel, variables)
