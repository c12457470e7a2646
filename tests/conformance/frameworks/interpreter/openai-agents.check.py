"""The sandbox type `e2b_code_interpreter` of the Agents SDK: its session in the interpreter's template, without a model."""

import asyncio
import io
from pathlib import Path

from agents.extensions.sandbox.e2b import E2BSandboxClient, E2BSandboxClientOptions


async def main() -> None:
    client = E2BSandboxClient()
    session = await client.create(options=E2BSandboxClientOptions(sandbox_type="e2b_code_interpreter", timeout=120))
    try:
        await session.start()
        ran = await session.exec("echo $((6 * 7)); curl -s -o /dev/null -w '%{http_code}' localhost:49999/health")
        assert (ran.exit_code, ran.stdout.split()) == (0, [b"42", b"200"]), (ran.exit_code, ran.stdout)
        await session.write(Path("a.txt"), io.BytesIO(b"kept"))
        assert (await session.read(Path("a.txt"))).read() == b"kept"
        await session.stop()
    finally:
        await session.shutdown()
        await client.delete(session)


asyncio.run(main())
print("all done")
