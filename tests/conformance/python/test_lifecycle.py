import os

import pytest
from e2b import ALL_TRAFFIC, CommandExitException, NotFoundException, SandboxQuery, SandboxState
from pytest import mark

from flavors import Face

BOOT_ID = "/proc/sys/kernel/random/boot_id"


@mark.proves("sandbox.pause", "Sandbox.pause", "sandbox.betaPause", "Sandbox.betaPause", "sandbox.connect")
async def test_pause_with_memory(flavor):
    """pause keeps processes, files and boot id; the same object goes on after connect"""
    sandbox = await flavor.Sandbox.create(timeout=120, metadata={"kept": "yes"})
    await sandbox.files.write("note.txt", "still here")
    boot = await sandbox.files.read(BOOT_ID)
    handle = await sandbox.commands.run("sleep 1000", background=True)
    await sandbox.pause()
    assert await sandbox.is_running() is False
    info = await sandbox.get_info()
    assert (info.state, info.metadata) == (SandboxState.PAUSED, {"kept": "yes"})
    await sandbox.connect(timeout=90)
    assert await sandbox.files.read("note.txt") == "still here"
    assert await sandbox.files.read(BOOT_ID) == boot
    assert handle.pid in [process.pid for process in await sandbox.commands.list()]
    info = await sandbox.get_info()
    assert info.state == SandboxState.RUNNING
    assert (info.end_at - info.started_at).total_seconds() == 90
    await flavor.Sandbox.beta_pause(sandbox.sandbox_id)
    await sandbox.connect()
    await sandbox.beta_pause()
    query = SandboxQuery(metadata={"kept": "yes"}, state=[SandboxState.PAUSED])
    paginator = (await flavor.Sandbox.list(query=query))
    assert sandbox.sandbox_id in [found.sandbox_id for found in await paginator.next_items()]
    assert await sandbox.kill() is True
    with pytest.raises(NotFoundException):
        await flavor.Sandbox.pause(sandbox.sandbox_id)


@mark.needs("Sandbox.pause", "keep_memory")
async def test_pause_without_memory(flavor):
    """pause without memory keeps files, ends processes, and boots anew"""
    sandbox = await flavor.Sandbox.create(timeout=120)
    await sandbox.files.write("note.txt", "on disk")
    boot = await sandbox.files.read(BOOT_ID)
    await sandbox.commands.run("sleep 1000", background=True)
    assert await sandbox.pause(keep_memory=False) is True
    assert await sandbox.pause(keep_memory=False) is False
    await sandbox.connect()
    assert await sandbox.files.read("note.txt") == "on disk"
    assert await sandbox.commands.list() == []
    assert await sandbox.files.read(BOOT_ID) != boot
    await sandbox.kill()


@mark.proves("Sandbox.betaCreate")
async def test_auto_pause(flavor, eventually):
    """a deadline that pauses"""
    if hasattr(flavor.Sandbox.sdk, "beta_create"):
        sandbox = await flavor.Sandbox.beta_create(timeout=2, auto_pause=True)
    else:
        sandbox = await flavor.Sandbox.create(timeout=2, lifecycle={"on_timeout": "pause"})
    await sandbox.files.write("note.txt", "kept")

    async def paused():
        return (await sandbox.get_info()).state == SandboxState.PAUSED

    await eventually(paused, timeout=8)
    assert await sandbox.is_running() is False
    await sandbox.connect(timeout=60)
    assert await sandbox.files.read("note.txt") == "kept"
    await sandbox.kill()


@mark.proves(
    "sandbox.createSnapshot",
    "Sandbox.createSnapshot",
    "sandbox.listSnapshots",
    "Sandbox.listSnapshots",
    "snapshotPaginator.nextItems",
    "Sandbox.deleteSnapshot",
)
async def test_snapshots(flavor):
    """snapshots are made, listed, used and deleted; the source goes on"""
    source = await flavor.Sandbox.create(timeout=300)
    await source.files.write("state.txt", "one")
    first = await source.create_snapshot()
    await source.files.write("state.txt", "two")
    second = await flavor.Sandbox.create_snapshot(source.sandbox_id)
    copy = await flavor.Sandbox.create(first.snapshot_id, timeout=300)
    assert await copy.files.read("state.txt") == "one"
    assert await source.files.read("state.txt") == "two"
    listed = await (await source.list_snapshots()).next_items()
    assert [snapshot.snapshot_id for snapshot in listed] == [second.snapshot_id, first.snapshot_id]
    pages = await flavor.Sandbox.list_snapshots(sandbox_id=source.sandbox_id, limit=1)
    assert [snapshot.snapshot_id for snapshot in await pages.next_items()] == [second.snapshot_id]
    assert pages.has_next is True
    assert [snapshot.snapshot_id for snapshot in await pages.next_items()] == [first.snapshot_id]
    assert pages.has_next is False
    await copy.kill()
    assert await flavor.Sandbox.delete_snapshot(first.snapshot_id) is True
    assert await flavor.Sandbox.delete_snapshot(first.snapshot_id) is False
    assert await flavor.Sandbox.delete_snapshot(second.snapshot_id) is True
    await source.kill()


@mark.needs("Sandbox.fork")
@mark.proves("sandbox.fork", "Sandbox.fork")
async def test_forks(flavor):
    """forks have the files of their source and lives of their own"""
    source = await flavor.Sandbox.create(metadata={"of": "source"})
    await source.files.write("state.txt", "shared")
    forks = [Face(fork, source._call) for fork in await source.fork(timeout=120, count=2)]
    forks += [Face(fork, source._call) for fork in await flavor.Sandbox.fork(source.sandbox_id, timeout=120)]
    assert len({sandbox.sandbox_id for sandbox in [source, *forks]}) == 4
    for fork in forks:
        assert await fork.files.read("state.txt") == "shared"
        await fork.files.write("state.txt", fork.sandbox_id)
    assert await source.files.read("state.txt") == "shared"
    for sandbox in [source, *forks]:
        assert await sandbox.kill() is True


async def reaches(sandbox):
    """Whether each user inside reaches the machine next door."""
    host, port = os.environ["E2B_TEST_NEIGHBOUR"].split()
    look = f"timeout 5 bash -c 'exec 3<>/dev/tcp/{host}/{port} && cat <&3'"
    outcomes = []
    for user in ["root", "user"]:
        try:
            outcomes.append((await sandbox.commands.run(look, user=user)).stdout == "here")
        except CommandExitException:
            outcomes.append(False)
    return outcomes


async def test_no_internet(flavor):
    """without internet access nothing outside is reached, also after a pause; the sandbox goes on"""
    sandbox = await flavor.Sandbox.create(allow_internet_access=False)
    assert await reaches(sandbox) == [False, False]
    await sandbox.files.write("note.txt", "here")
    await sandbox.beta_pause()
    await sandbox.connect()
    assert await reaches(sandbox) == [False, False]
    assert await sandbox.files.read("note.txt") == "here"
    await sandbox.kill()


async def test_denied_traffic(flavor):
    """a sandbox that is made with all traffic denied reaches nothing, one without does"""
    sandbox = await flavor.Sandbox.create(network={"deny_out": [ALL_TRAFFIC]})
    assert await reaches(sandbox) == [False, False]
    other = await flavor.Sandbox.create()
    assert await reaches(other) == [True, True]
    for each in [sandbox, other]:
        await each.kill()


@mark.needs("Sandbox.update_network")
@mark.proves("sandbox.updateNetwork", "Sandbox.updateNetwork")
async def test_update_network(flavor):
    """a running sandbox is closed and opened again; lists are refused"""
    sandbox = await flavor.Sandbox.create()
    await sandbox.update_network({"deny_out": [ALL_TRAFFIC]})
    assert await reaches(sandbox) == [False, False]
    await flavor.Sandbox.update_network(sandbox.sandbox_id, {})
    assert await reaches(sandbox) == [True, True]
    await sandbox.update_network({"allow_internet_access": False})
    assert await reaches(sandbox) == [False, False]
    with pytest.raises(Exception, match="egressPolicy"):
        await sandbox.update_network({"deny_out": ["8.8.8.8"]})
    await sandbox.kill()
