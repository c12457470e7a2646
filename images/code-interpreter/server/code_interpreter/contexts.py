"""All contexts of the sandbox, and the one of each language that executions without a context run in."""

import asyncio

from .context import Context
from .fork_server import ForkServer

CONTEXTS_MAX = 128
"""Each costs a process; a sandbox's memory ends long before"""
DEFAULT_CWD = "/home/user"


class TooMany(Exception):
    """No further context may be created; the text is for clients."""


class Contexts:
    """Owner of the contexts. Listed in the order they were asked for."""

    def __init__(self) -> None:
        self._forks = ForkServer()
        self._all: dict[str, Context] = {}
        self._defaults: dict[str, Context] = {}
        self._creating: dict[str, asyncio.Task[Context]] = {}

    def all(self) -> list[Context]:
        """All that run."""
        return list(self._all.values())

    def get(self, context_id: str) -> Context:
        """A context by its id. Errors: `KeyError`."""
        return self._all[context_id]

    def announce(self, language: str) -> Context:
        """A language's context without a kernel, which starts with its first execution if nobody starts it before."""
        context = Context(language, DEFAULT_CWD, self._forks)
        self._all[context.id] = context
        self._defaults[language] = context
        return context

    async def create(self, language: str, cwd: str) -> Context:
        """A new context. Errors: `KernelError`, `TooMany`."""
        if len(self._all) >= CONTEXTS_MAX:
            raise TooMany(f"Failed to create context: there are {CONTEXTS_MAX} already")
        context = Context(language, cwd, self._forks)
        self._all[context.id] = context
        try:
            await context.start()
        except BaseException:
            self._all.pop(context.id, None)
            await context.stop()
            raise
        return context

    async def default(self, language: str) -> Context:
        """The language's context, created for the first who asks. Errors: `KernelError`, `TooMany`."""
        known = self._defaults.get(language)
        if known is not None and known.id in self._all:
            return known
        creating = self._creating.get(language)
        if creating is None:
            creating = asyncio.create_task(self._create_default(language))
            self._creating[language] = creating
            creating.add_done_callback(lambda _: self._creating.pop(language, None))
        return await asyncio.shield(creating)

    async def remove(self, context_id: str) -> None:
        """Ends a context. Errors: `KeyError`."""
        await self._all.pop(context_id).stop()

    async def stop(self) -> None:
        """Ends all of them."""
        contexts, self._all = self.all(), {}
        await asyncio.gather(*(context.stop() for context in contexts))
        self._forks.close()

    async def _create_default(self, language: str) -> Context:
        context = await self.create(language, DEFAULT_CWD)
        self._defaults[language] = context
        return context
