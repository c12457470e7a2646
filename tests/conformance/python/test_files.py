import asyncio
import hashlib
import io
import os
from datetime import datetime, timezone

import pytest
from e2b import FileType, InvalidArgumentException, NotEnoughSpaceException, NotFoundException
from pytest import mark


@mark.proves("files.write", "files.read")
async def test_formats(sandbox, flavor):
    """write and read in every format"""
    written = await sandbox.files.write("dir/hello.txt", "Grüße")
    assert (written.name, FileType(written.type), written.path) == (
        "hello.txt",
        FileType.FILE,
        "/home/user/dir/hello.txt",
    )
    assert await sandbox.files.read("dir/hello.txt") == "Grüße"
    assert bytes(await sandbox.files.read("dir/hello.txt", format="bytes")) == "Grüße".encode()
    stream = await sandbox.files.read("dir/hello.txt", format="stream")
    assert await flavor.read_all(stream) == "Grüße".encode()


@mark.proves("files.write", "files.read")
async def test_empty_and_shorter(sandbox):
    """an empty file, an overwritten one, a shorter one"""
    await sandbox.files.write("empty", "")
    assert await sandbox.files.read("empty") == ""
    assert len(await sandbox.files.read("empty", format="bytes")) == 0
    await sandbox.files.write("over", "a longer text")
    await sandbox.files.write("over", b"short")
    assert await sandbox.files.read("over") == "short"


@mark.proves("files.write", "files.read")
async def test_large(sandbox):
    """20 MB of bytes arrive unchanged both ways"""
    content = os.urandom(20 * 1024 * 1024)
    await sandbox.files.write("big.bin", io.BytesIO(content))
    digest = (await sandbox.commands.run("sha256sum big.bin")).stdout.split()[0]
    assert digest == hashlib.sha256(content).hexdigest()
    assert bytes(await sandbox.files.read("big.bin", format="bytes")) == content


@mark.needs("Filesystem.write", "use_octet_stream")
@mark.proves("files.write", "files.read")
async def test_gzip_and_octet_stream(sandbox, flavor):
    """gzip both ways, octet-stream"""
    content = b"compressible " * 10_000
    await sandbox.files.write("zipped", content, gzip=True, use_octet_stream=True)
    assert bytes(await sandbox.files.read("zipped", format="bytes", gzip=True)) == content
    assert (await sandbox.files.get_info("zipped")).size == len(content)
    await sandbox.files.write("plain", content, use_octet_stream=True)
    stream = await sandbox.files.read("plain", format="stream", gzip=True)
    assert await flavor.read_all(stream) == content


@mark.needs("Filesystem.write", "metadata")
@mark.proves("files.write")
async def test_chunks(sandbox, flavor):
    """an upload of unknown length"""
    await sandbox.files.write("chunked", flavor.chunks(b"one ", b"two ", b"three"))
    assert await sandbox.files.read("chunked") == "one two three"


@mark.needs("Filesystem.write", "metadata")
@mark.proves("files.write", "files.getInfo", "files.list")
async def test_metadata(sandbox):
    """metadata of an upload: kept, listed, replaced, removed"""
    written = await sandbox.files.write("meta/m", "x", metadata={"Author": "me", "n": "1"})
    assert written.metadata == {"author": "me", "n": "1"}
    assert (await sandbox.files.get_info("meta/m")).metadata == {"author": "me", "n": "1"}
    await sandbox.files.rename("meta/m", "meta/moved")
    assert [entry.metadata for entry in await sandbox.files.list("meta")] == [{"author": "me", "n": "1"}]
    await sandbox.files.write("meta/moved", "y", metadata={"n": "2"})
    assert (await sandbox.files.get_info("meta/moved")).metadata == {"n": "2"}
    await sandbox.files.write("meta/moved", "z")
    assert not (await sandbox.files.get_info("meta/moved")).metadata
    with pytest.raises(InvalidArgumentException):
        await sandbox.files.write("meta/bad", "x", metadata={"bad key": "x"})


@mark.proves("files.writeFiles")
async def test_several(sandbox):
    """several files in one request, with names as they are"""
    written = await sandbox.files.write_files(
        [{"path": "many/a.txt", "data": "A"}, {"path": "/tmp/ünï côdé.txt", "data": b"B"}]
    )
    assert [info.path for info in written] == ["/home/user/many/a.txt", "/tmp/ünï côdé.txt"]
    assert await sandbox.files.read("/tmp/ünï côdé.txt") == "B"
    assert await sandbox.files.write_files([]) == []


@mark.proves("files.write")
async def test_owner(sandbox):
    """owner, mode and parents belong to the user who asks"""
    await sandbox.files.write("/srv/deep/down/f", "x")
    stat = await sandbox.commands.run('stat -c "%U:%G %a" /srv/deep /srv/deep/down/f')
    assert stat.stdout == "user:user 755\nuser:user 644\n"
    assert (await sandbox.files.write("in-home", "x", user="root")).path == "/root/in-home"
    assert await sandbox.files.read("in-home", user="root") == "x"


@mark.proves("files.getInfo", "files.exists")
async def test_info(sandbox):
    """get_info, exists"""
    await sandbox.files.write("info.txt", "12345")
    await sandbox.commands.run("ln -sf info.txt link")
    info = await sandbox.files.get_info("info.txt")
    assert (info.name, info.type, info.path, info.size) == ("info.txt", FileType.FILE, "/home/user/info.txt", 5)
    assert (info.mode, info.permissions, info.owner, info.group) == (0o644, "-rw-r--r--", "user", "user")
    modified = info.modified_time.replace(tzinfo=timezone.utc)
    assert abs((modified - datetime.now(timezone.utc)).total_seconds()) < 60
    assert (await sandbox.files.get_info("link")).symlink_target == "/home/user/info.txt"
    assert (await sandbox.files.get_info("/home")).type == FileType.DIR
    assert await sandbox.files.exists("info.txt") is True
    assert await sandbox.files.exists("nothing") is False
    with pytest.raises(NotFoundException):
        await sandbox.files.get_info("nothing")


@mark.proves("files.makeDir", "files.list", "files.rename", "files.remove")
async def test_tree(sandbox):
    """make_dir, list with depth, rename, remove"""
    files = sandbox.files
    assert await files.make_dir("tree/a/b") is True
    assert await files.make_dir("tree/a/b") is False
    await files.write("tree/a/f", "x")
    flat = await files.list("tree")
    assert [(entry.name, entry.type, entry.path) for entry in flat] == [("a", FileType.DIR, "/home/user/tree/a")]
    deep = await files.list("tree", depth=3)
    assert [entry.path for entry in deep] == [
        "/home/user/tree/a",
        "/home/user/tree/a/b",
        "/home/user/tree/a/f",
    ]
    with pytest.raises(InvalidArgumentException):
        await files.list("tree", depth=0)
    assert (await files.rename("tree/a/f", "tree/moved/g")).path == "/home/user/tree/moved/g"
    assert await files.read("tree/moved/g") == "x"
    await files.remove("tree")
    assert await files.exists("tree") is False
    await files.remove("tree")
    with pytest.raises(NotFoundException):
        await files.list("tree")
    with pytest.raises(NotFoundException):
        await files.rename("tree", "other")


async def test_refusals(sandbox):
    """a missing file, a directory, a full disk"""
    with pytest.raises(NotFoundException):
        await sandbox.files.read("missing.txt")
    with pytest.raises(InvalidArgumentException):
        await sandbox.files.read("/home/user")
    with pytest.raises(InvalidArgumentException):
        await sandbox.files.write("/home/user", "x")
    # What is left of /dev/shm, which is half of the memory.
    await sandbox.commands.run("fallocate -l 240M /dev/shm/rest")
    with pytest.raises(NotEnoughSpaceException):
        await sandbox.files.write("/dev/shm/full", os.urandom(32 * 1024 * 1024))
    await sandbox.files.remove("/dev/shm/full")
    await sandbox.files.remove("/dev/shm/rest")


async def test_proc(sandbox):
    """files of /proc, which have no size"""
    assert len(await sandbox.files.read("/proc/sys/kernel/random/boot_id")) == 37


async def test_many_at_once(sandbox):
    """thirty files at once"""
    names = [f"p/{number}" for number in range(30)]
    await asyncio.gather(*(sandbox.files.write(name, name) for name in names))
    assert await asyncio.gather(*(sandbox.files.read(name) for name in names)) == names
