from uuid import uuid4

import pytest
from e2b import FilesystemEventType, InvalidArgumentException, NotFoundException, SandboxException
from pytest import mark

created, changed, written = FilesystemEventType.CREATE, FilesystemEventType.CHMOD, FilesystemEventType.WRITE
removed, renamed = FilesystemEventType.REMOVE, FilesystemEventType.RENAME


@pytest.fixture
async def folder(sandbox):
    path = f"/home/user/{uuid4()}"
    await sandbox.files.make_dir(path)
    return path


async def drained(sandbox, watch, folder, eventually):
    """The events of everything that has happened: a last directory marks the end of them."""
    end = f"end-{uuid4()}"
    await sandbox.files.make_dir(f"{folder}/{end}")

    async def ended():
        return any(event.name == end for event in await watch.poll())

    await eventually(ended)
    return kinds(watch.events)


def kinds(events):
    return [(event.name, event.type) for event in events if not event.name.startswith("end-")]


@mark.proves("files.watchDir", "watchHandle.stop")
async def test_upload(sandbox, flavor, folder, eventually):
    """a new upload is exactly CREATE, CHMOD, WRITE"""
    watch = await flavor.watch(sandbox, folder)
    await sandbox.files.write(f"{folder}/new.txt", "content")
    if flavor.name == "sync":
        # Events can be fetched as soon as what caused them has been answered.
        assert [event.type for event in await watch.poll()] == [created, changed, written]
    assert await drained(sandbox, watch, folder, eventually) == [
        ("new.txt", created),
        ("new.txt", changed),
        ("new.txt", written),
    ]
    await watch.stop()


@mark.proves("watchHandle.getNewEvents")
async def test_events_once(sandbox, flavor, folder, eventually):
    """each event comes once, and none after stop"""
    watch = await flavor.watch(sandbox, folder)
    await sandbox.files.write(f"{folder}/a", "1")
    first = len(await drained(sandbox, watch, folder, eventually))
    watch.events.clear()
    await sandbox.files.remove(f"{folder}/a")
    again = await drained(sandbox, watch, folder, eventually)
    assert (first, again) == (3, [("a", removed)])
    await watch.stop()
    watch.events.clear()
    await sandbox.files.write(f"{folder}/b", "1")
    if flavor.name == "sync":
        with pytest.raises(SandboxException, match="already stopped"):
            await watch.poll()
    assert watch.events == []


@mark.proves("files.watchDir")
async def test_kinds(sandbox, flavor, folder, eventually):
    """chmod, rename, removal"""
    await sandbox.files.write(f"{folder}/f", "x")
    watch = await flavor.watch(sandbox, folder)
    await sandbox.commands.run("chmod 600 f && mv f g && rm g", cwd=folder)
    events = await drained(sandbox, watch, folder, eventually)
    assert ("f", changed) in events
    assert ("f", renamed) in events
    assert ("g", created) in events
    assert ("g", removed) in events
    await watch.stop()


@mark.proves("files.watchDir")
async def test_recursive(sandbox, flavor, folder, eventually):
    """recursive: a sub-directory made by one request is watched when the next one comes"""
    watch = await flavor.watch(sandbox, folder, recursive=True)
    await sandbox.files.make_dir(f"{folder}/sub/deep")
    await sandbox.files.write(f"{folder}/sub/deep/f", "x")
    events = await drained(sandbox, watch, folder, eventually)
    assert ("sub", created) in events
    assert ("sub/deep/f", written) in events
    await watch.stop()


@mark.proves("files.watchDir")
async def test_not_recursive(sandbox, flavor, folder, eventually):
    """without recursive the sub-directories' own are not told"""
    await sandbox.files.make_dir(f"{folder}/sub")
    watch = await flavor.watch(sandbox, folder)
    await sandbox.files.write(f"{folder}/sub/f", "x")
    assert await drained(sandbox, watch, folder, eventually) == []
    await watch.stop()


@mark.needs("Filesystem.watch_dir", "include_entry")
@mark.proves("files.watchDir")
async def test_entry(sandbox, flavor, folder, eventually):
    """include_entry says what the thing is, where it still is"""
    watch = await flavor.watch(sandbox, folder, include_entry=True)
    await sandbox.files.write(f"{folder}/f", "12345")
    await drained(sandbox, watch, folder, eventually)
    last = [event for event in watch.events if event.name == "f"][-1]
    assert last.type == written
    assert (last.entry.path, last.entry.size, last.entry.owner) == (f"{folder}/f", 5, "user")
    await sandbox.files.remove(f"{folder}/f")
    await drained(sandbox, watch, folder, eventually)
    last = [event for event in watch.events if event.name == "f"][-1]
    assert (last.type, last.entry) == (removed, None)
    await watch.stop()


@mark.proves("files.watchDir")
async def test_two_watches(sandbox, flavor, folder, eventually):
    """two watches of one directory see the same"""
    one, two = [await flavor.watch(sandbox, folder) for _ in range(2)]
    await sandbox.files.write(f"{folder}/f", "x")
    events = await drained(sandbox, one, folder, eventually)

    async def same():
        return kinds(await two.poll()) == events

    await eventually(same)
    await one.stop()
    await two.stop()


async def test_refusals(sandbox, flavor, folder):
    """a missing directory, a file"""
    with pytest.raises(NotFoundException):
        await flavor.watch(sandbox, f"{folder}/missing")
    await sandbox.files.write(f"{folder}/f", "x")
    with pytest.raises(InvalidArgumentException):
        await flavor.watch(sandbox, f"{folder}/f")
