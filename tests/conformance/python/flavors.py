"""The SDK's two flavors, blocking and asyncio, behind one face, so that each test is written once and runs on both.

Every method of a `Face` is awaited: blocking ones run in a thread of their own. What they take and give is the SDK's
own; where the flavors differ by design (callbacks of terminals and watches), `Flavor` has a method.
"""

import asyncio
import inspect
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

import e2b
from e2b import AsyncSandbox, AsyncTemplate, PtySize, Sandbox, Template

# More than any test has calls in flight, so that none waits for another's thread.
threads = ThreadPoolExecutor(max_workers=64)

sdk_objects = ("e2b.sandbox_sync.", "e2b.sandbox_async.", "e2b_code_interpreter.code_interpreter_")


class Face:
    """An SDK object whose methods are all awaited. `sdk` is the object itself."""

    def __init__(self, sdk, call):
        self.sdk = sdk
        self._call = call

    def __getattr__(self, name):
        value = getattr(self.sdk, name)
        if not callable(value):
            return self._face(value)

        async def method(*args, **kwargs):
            return self._face(await self._call(value, *args, **kwargs))

        return method

    def _face(self, value):
        if type(value).__module__.startswith(sdk_objects):
            return Face(value, self._call)
        return value


async def call_in_thread(method, *args, **kwargs):
    def run():
        return method(*args, **kwargs)

    return await asyncio.get_running_loop().run_in_executor(threads, run)


async def call_in_loop(method, *args, **kwargs):
    result = method(*args, **kwargs)
    return await result if inspect.isawaitable(result) else result


class Sync:
    name = "sync"
    Sandbox = Face(Sandbox, call_in_thread)
    Template = Face(Template, call_in_thread)

    async def follow(self, sandbox, command, on_stdout, **options):
        """Starts a command; the result is its handle and a task that waits for its end."""
        handle = await sandbox.commands.run(command, background=True, **options)
        return handle, asyncio.create_task(handle.wait(on_stdout=on_stdout))

    async def open_pty(self, sandbox, on_data, **options):
        handle = await sandbox.pty.create(PtySize(rows=24, cols=80), **options)
        return handle, asyncio.create_task(handle.wait(on_pty=on_data))

    async def connect_pty(self, sandbox, pid, on_data):
        handle = await sandbox.pty.connect(pid)
        return handle, asyncio.create_task(handle.wait(on_pty=on_data))

    async def stream_input(self, module, pid, chunks):
        await module.stream_input(pid, chunks)

    async def watch(self, sandbox, path, **options):
        return PolledWatch(await sandbox.files.watch_dir(path, **options))

    async def read_all(self, stream):
        return await call_in_thread(lambda: b"".join(stream))

    def chunks(self, *pieces):
        return iter(pieces)


class Async:
    name = "async"
    Sandbox = Face(AsyncSandbox, call_in_loop)
    Template = Face(AsyncTemplate, call_in_loop)

    async def follow(self, sandbox, command, on_stdout, **options):
        handle = await sandbox.commands.run(command, background=True, on_stdout=on_stdout, **options)
        return handle, asyncio.create_task(handle.wait())

    async def open_pty(self, sandbox, on_data, **options):
        handle = await sandbox.pty.create(PtySize(rows=24, cols=80), on_data, **options)
        return handle, asyncio.create_task(handle.wait())

    async def connect_pty(self, sandbox, pid, on_data):
        handle = await sandbox.pty.connect(pid, on_data)
        return handle, asyncio.create_task(handle.wait())

    async def stream_input(self, module, pid, chunks):
        handle = await module.stream_input(pid)
        for chunk in chunks:
            await handle.send(chunk)
        await handle.close()

    async def watch(self, sandbox, path, **options):
        return await StreamedWatch.start(sandbox, path, options)

    async def read_all(self, stream):
        return b"".join([chunk async for chunk in stream])

    def chunks(self, *pieces):
        async def generate():
            for piece in pieces:
                yield piece

        return generate()


flavors = (Sync(), Async())


class PolledWatch:
    """A watch that is asked for its events."""

    def __init__(self, handle):
        self._handle = handle
        self.events = []

    async def poll(self):
        self.events += await self._handle.get_new_events()
        return self.events

    async def stop(self):
        await self._handle.stop()


class StreamedWatch:
    """A watch that calls back. `exits` has what its `on_exit` was called with."""

    def __init__(self):
        self.events = []
        self.exits = []
        self._handle = None

    @classmethod
    async def start(cls, sandbox, path, options):
        watch = cls()
        watch._handle = await sandbox.files.watch_dir(
            path, on_event=watch.events.append, on_exit=watch.exits.append, **options
        )
        return watch

    async def poll(self):
        return self.events

    async def stop(self):
        await self._handle.stop()


def has(method: str, parameter: str | None = None) -> bool:
    """Whether this release has a method, as `Commands.run`, with a parameter of that name."""
    owner, name = method.split(".")
    found = getattr(classes()[owner], name, None)
    if found is None or parameter is None:
        return found is not None
    return parameter in inspect.signature(found).parameters


def classes():
    package = Sandbox.__module__.rsplit(".", 1)[0]
    return {
        "Sandbox": Sandbox,
        "Template": Template,
        "Commands": import_module(f"{package}.commands.command").Commands,
        "Filesystem": import_module(f"{package}.filesystem.filesystem").Filesystem,
        "Pty": import_module(f"{package}.commands.pty").Pty,
        "CommandHandle": e2b.CommandHandle,
    }
