"""The sandbox of the Agents SDK with `mcp`: its own MCP client lists and calls the tools, without a model."""

import asyncio

from agents.extensions.sandbox.e2b import E2BSandboxClient, E2BSandboxClientOptions
from agents.mcp import MCPServerStreamableHttp
from e2b import AsyncSandbox


async def main() -> None:
    client = E2BSandboxClient()
    mcp = {"time": {}, "memory": {}}
    session = await client.create(options=E2BSandboxClientOptions(sandbox_type="e2b", timeout=120, mcp=mcp))
    try:
        await session.start()
        sandbox = await AsyncSandbox.connect(session.state.sandbox_id)
        headers = {"Authorization": f"Bearer {await sandbox.get_mcp_token()}"}
        params = {"url": sandbox.get_mcp_url(), "headers": headers}
        async with MCPServerStreamableHttp(params=params, client_session_timeout_seconds=60) as gateway:
            names = {tool.name for tool in await gateway.list_tools()}
            assert {"convert_time", "create_entities"} <= names, names
            result = await gateway.call_tool("get_current_time", {"timezone": "UTC"})
            assert "UTC" in result.content[0].text, result
        await session.stop()
    finally:
        await session.shutdown()
        await client.delete(session)


asyncio.run(main())
print("all done")
