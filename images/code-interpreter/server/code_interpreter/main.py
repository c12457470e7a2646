"""Starts Python's kernel, and answers on port 49999 as soon as it runs."""

import asyncio
import signal
import sys

from .contexts import Contexts
from .launch import KernelError

PORT = 49999


async def main() -> None:
    contexts = Contexts()
    starting = asyncio.create_task(contexts.announce("python").start())
    # Deno costs 170 MB, which most sandboxes never need.
    contexts.announce("javascript")
    # Lets the kernel's process begin.
    await asyncio.sleep(0)
    # While the kernel starts, which is most of the wait.
    from aiohttp import web

    from .app import create_app

    runner = web.AppRunner(create_app(contexts), access_log=None, handler_cancellation=True, keepalive_timeout=640)
    await runner.setup()
    try:
        await starting
    except KernelError as failure:
        print(failure, file=sys.stderr)
    await web.TCPSite(runner, "0.0.0.0", PORT, reuse_address=True).start()
    stopped = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stopped.set)
    await stopped.wait()
    await contexts.stop()
    await runner.cleanup()


def run() -> None:
    """Runs until a signal ends it."""
    asyncio.run(main())
