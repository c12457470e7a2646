import asyncio
import os
import time
from datetime import datetime, timezone

import pytest
from e2b import AuthenticationException, NotFoundException, SandboxException, SandboxQuery, SandboxState
from pytest import mark


def now():
    return datetime.now(timezone.utc)


@mark.proves("Sandbox.create", "sandbox.getInfo", "sandbox.isRunning", "sandbox.kill")
async def test_life(flavor):
    """create, get_info, is_running, kill"""
    sandbox = await flavor.Sandbox.create(metadata={"purpose": "info"}, timeout=120)
    assert len(sandbox.sandbox_id) == 21
    assert await sandbox.is_running() is True

    info = await sandbox.get_info()
    assert info.sandbox_id == sandbox.sandbox_id
    assert (info.template_id, info.name, info.state) == ("base", "base", SandboxState.RUNNING)
    assert info.metadata == {"purpose": "info"}
    assert (info.cpu_count, info.memory_mb) == (2, 512)
    assert (info.end_at - info.started_at).total_seconds() == 120

    assert await sandbox.kill() is True
    assert await sandbox.is_running() is False
    assert await sandbox.kill() is False
    with pytest.raises(NotFoundException):
        await sandbox.get_info()


@mark.proves("Sandbox.kill", "Sandbox.getInfo", "Sandbox.setTimeout", "Sandbox.connect")
async def test_by_id(flavor):
    """kill, get_info, set_timeout and connect by id"""
    sandbox = await flavor.Sandbox.create(timeout=60)
    await sandbox.files.write("note.txt", "still here")
    await flavor.Sandbox.set_timeout(sandbox.sandbox_id, 200)
    info = await flavor.Sandbox.get_info(sandbox.sandbox_id)
    assert 195 < (info.end_at - now()).total_seconds() <= 200.5

    again = await flavor.Sandbox.connect(sandbox.sandbox_id, timeout=10)
    # Old releases forget to tell an address that all sandboxes share which one they mean.
    if "E2b-Sandbox-Id" in again.connection_config.sandbox_headers:
        assert await again.files.read("note.txt") == "still here"
    assert (await again.get_info()).end_at == info.end_at

    assert await flavor.Sandbox.kill(sandbox.sandbox_id) is True
    assert await flavor.Sandbox.kill(sandbox.sandbox_id) is False
    assert await flavor.Sandbox.kill("nonexistingsandbox") is False
    with pytest.raises(NotFoundException):
        await flavor.Sandbox.get_info(sandbox.sandbox_id)
    with pytest.raises(NotFoundException):
        await flavor.Sandbox.connect(sandbox.sandbox_id)


@mark.proves("sandbox.getMcpUrl", "sandbox.getMcpToken")
async def test_mcp(flavor):
    """where the MCP gateway of a sandbox is, and its token"""
    sandbox = await flavor.Sandbox.create(timeout=60)
    host = await sandbox.get_host(50005)
    assert await sandbox.get_mcp_url() == f"https://{host}/mcp"
    await sandbox.files.write("/etc/mcp-gateway/.token", "of the gateway", user="root")
    assert await sandbox.get_mcp_token() == "of the gateway"
    await sandbox.kill()


@mark.proves("sandbox.setTimeout", "sandbox.connect")
async def test_deadline(flavor, eventually):
    """set_timeout moves the deadline both ways, connect only later, and 0 ends the sandbox"""
    sandbox = await flavor.Sandbox.create(timeout=60)
    await sandbox.set_timeout(20)
    assert 17 < ((await sandbox.get_info()).end_at - now()).total_seconds() <= 20.5
    await sandbox.connect(timeout=300)
    assert 295 < ((await sandbox.get_info()).end_at - now()).total_seconds() <= 300.5
    await sandbox.set_timeout(0)

    async def gone():
        return not await sandbox.is_running()

    await eventually(gone, timeout=3)
    with pytest.raises(NotFoundException):
        await sandbox.set_timeout(1)


async def test_expiry(flavor, eventually):
    """a deadline that passes ends the sandbox within a second"""
    sandbox = await flavor.Sandbox.create(timeout=2)
    end_at = (await sandbox.get_info()).end_at

    async def gone():
        return not await sandbox.is_running()

    await eventually(gone, timeout=6)
    assert 0 <= (now() - end_at).total_seconds() < 1


@mark.proves("Sandbox.list", "sandboxPaginator.nextItems")
async def test_list(flavor):
    """list filters by metadata and state, orders by start, pages"""
    name = f'{flavor.name} {time.time_ns()} & = ü "q"'
    first = await flavor.Sandbox.create(metadata={"mark": name, "n": "1"})
    second = await flavor.Sandbox.create(metadata={"mark": name, "n": "2"})

    async def listed(**query):
        pages = await flavor.Sandbox.list(query=SandboxQuery(**query))
        return [item.sandbox_id for item in await pages.next_items()]

    assert await listed(metadata={"mark": name}) == [second.sandbox_id, first.sandbox_id]
    assert await listed(metadata={"mark": name, "n": "1"}) == [first.sandbox_id]
    assert await listed(metadata={"mark": name}, state=[SandboxState.PAUSED]) == []

    pages = await flavor.Sandbox.list(query=SandboxQuery(metadata={"mark": name}), limit=1)
    assert [item.sandbox_id for item in await pages.next_items()] == [second.sandbox_id]
    assert pages.has_next is True
    assert [item.sandbox_id for item in await pages.next_items()] == [first.sandbox_id]
    assert pages.has_next is False
    await asyncio.gather(first.kill(), second.kill())


async def test_environment(flavor):
    """the sandbox's environment reaches every command, a command's own only that one"""
    sandbox = await flavor.Sandbox.create(envs={"FOO": "bar baz"})
    assert (await sandbox.commands.run('echo "$FOO"')).stdout == "bar baz\n"
    own = await sandbox.commands.run('echo "$FOO $X"', envs={"FOO": "own", "X": "y"})
    assert own.stdout == "own y\n"
    assert (await sandbox.commands.run('echo "$FOO$X"')).stdout == "bar baz\n"
    await sandbox.kill()


@mark.proves("sandbox.getHost")
async def test_host(flavor, sandbox):
    """get_host names port and sandbox"""
    host = await sandbox.get_host(3000)
    assert host.startswith(f"3000-{sandbox.sandbox_id}.")


async def test_refusals(flavor):
    """a wrong key, an unknown template"""
    with pytest.raises(AuthenticationException):
        await flavor.Sandbox.create(api_key="e2b_" + "0" * 40)
    with pytest.raises(SandboxException, match="404.*no-such-template"):
        await flavor.Sandbox.create("no-such-template")


async def test_side_by_side(flavor, eventually):
    """sandboxes that run side by side have their own files and processes"""
    sandboxes = await asyncio.gather(*(flavor.Sandbox.create(timeout=300) for _ in range(6)))

    async def use(sandbox, number):
        await sandbox.files.write("mine", str(number))
        await sandbox.commands.run(f"sleep {1000 + number}", background=True)

    async def check(sandbox, number):
        assert await sandbox.files.read("mine") == str(number)

        async def sleeps():
            return (await sandbox.commands.run('pgrep -af "^sleep" || true')).stdout

        assert (await eventually(sleeps)).endswith(f" sleep {1000 + number}\n")

    await asyncio.gather(*(use(sandbox, number) for number, sandbox in enumerate(sandboxes)))
    await asyncio.gather(*(check(sandbox, number) for number, sandbox in enumerate(sandboxes)))
    await asyncio.gather(*(sandbox.kill() for sandbox in sandboxes))


async def test_key_in_no_environment(flavor, sandbox):
    """no secret is in the sandbox's environment"""
    seen = await sandbox.commands.run("env; tr '\\0' '\\n' < /proc/1/environ; cat /run/e2b/.E2B*", user="root")
    assert "HOME=/root" in seen.stdout
    assert os.environ["E2B_API_KEY"] not in seen.stdout


@mark.proves("Template.exists", "Template.aliasExists")
@mark.needs("Template.exists")
async def test_template_names(flavor):
    """exists, alias_exists"""
    for exists in (flavor.Template.exists, flavor.Template.alias_exists):
        assert await exists("base") is True
        assert await exists("not-there-v1") is False
