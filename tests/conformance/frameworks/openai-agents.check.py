"""The sandbox of the Agents SDK: its session runs commands and keeps files, without a model."""

import asyncio
import io
from pathlib import Path

from agents.extensions.sandbox.e2b import E2BSandboxClient, E2BSandboxClientOptions


async def main() -> None:
    client = E2BSandboxClient()
    options = E2BSandboxClientOptions(sandbox_type="e2b", template="base", timeout=120)
    session = await client.create(options=options)
    try:
        await session.start()
        ran = await session.exec("echo $((6 * 7))")
        assert (ran.exit_code, ran.stdout.strip()) == (0, b"42"), (ran.exit_code, ran.stdout)
        await session.write(Path("a.txt"), io.BytesIO(b"kept"))
        assert (await session.read(Path("a.txt"))).read() == b"kept"
        assert await session.running()
        await session.stop()
    finally:
        await session.shutdown()
        await client.delete(session)


asyncio.run(main())
print("all done")
