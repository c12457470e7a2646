"""`mcp` of create in the SDK's flavor that the argument says: a line with its URL and token goes out, whoever runs this asks it."""

import asyncio
import json
import sys

from e2b import AsyncSandbox, Sandbox, SandboxException


def asked(url, token):
    print(json.dumps({"url": url, "token": token}), flush=True)
    assert sys.stdin.readline() == "opened\n"


def in_thread():
    with Sandbox.create(mcp={"time": {}}, timeout=300) as sandbox:
        assert Sandbox.connect(sandbox.sandbox_id).get_mcp_token() == sandbox.get_mcp_token()
        asked(sandbox.get_mcp_url(), sandbox.get_mcp_token())
    try:
        Sandbox.create(mcp={"filesystem": {}})
    except SandboxException as refused:
        assert 'needs the setting "paths"' in str(refused), refused
    else:
        raise AssertionError("not refused")


async def in_loop():
    async with await AsyncSandbox.create(mcp={"time": {}}, timeout=300) as sandbox:
        again = await AsyncSandbox.connect(sandbox.sandbox_id)
        assert await again.get_mcp_token() == await sandbox.get_mcp_token()
        asked(sandbox.get_mcp_url(), await sandbox.get_mcp_token())


if sys.argv[1] == "sync":
    in_thread()
else:
    asyncio.run(in_loop())
print("all done")
