"""The plugin of Google's ADK: its tools, called as an agent calls them."""

import asyncio

from e2b_adk import E2BPlugin


async def main() -> None:
    plugin = E2BPlugin(timeout=120)
    tools = {tool.name: tool for tool in plugin.get_tools()}

    async def call(name: str, **args):
        return await tools[name].run_async(args=args, tool_context=None)

    try:
        ran = await call("run_code", code="x = 6 * 7\nprint('said')\nx")
        assert (ran["success"], ran["stdout"], ran["text"], ran["error"]) == (True, "said\n", "42", ""), ran
        assert (await call("run_code", code="x + 1"))["text"] == "43"
        assert "ZeroDivisionError" in (await call("run_code", code="1 / 0"))["error"]
        script = await call("run_code", code="console.log(6 * 7)", language="javascript")
        assert script["stdout"] == "42\n", script
        assert (await call("write_file", path="/home/user/a.txt", content="kept"))["success"]
        assert "kept" in str(await call("read_file", path="/home/user/a.txt"))
        assert "a.txt" in str(await call("list_files", path="/home/user"))
        failed = await call("run_command", command="echo $((6 * 7)); exit 3")
        assert (failed["exit_code"], failed["stdout"].strip()) == (3, "42"), failed
    finally:
        await plugin.close()


asyncio.run(main())
print("all done")
