import asyncio
import inspect
import time

import e2b
import httpx
import pytest
from e2b import NotFoundException, Sandbox, TimeoutException
from pytest import mark

# Releases up to some 2.4x ask for it; later ones always secure, and take the option without effect.
can_be_unsecured = inspect.signature(Sandbox.create).parameters["secure"].default is True


async def fetch(method, url, **options):
    async with httpx.AsyncClient() as client:
        return await client.request(method, url, **options)


@mark.proves("sandbox.downloadUrl", "sandbox.uploadUrl")
async def test_signed_urls(sandbox):
    """upload_url and download_url work with nothing but the URL"""
    url = await sandbox.upload_url("signed ü.txt")
    assert "signature=v1_" in url
    uploaded = await fetch("POST", url, files={"file": ("ignored", b"by URL")})
    assert uploaded.json() == [{"name": "signed ü.txt", "path": "/home/user/signed ü.txt", "type": "file"}]
    downloaded = await fetch("GET", await sandbox.download_url("signed ü.txt"))
    assert (downloaded.status_code, downloaded.content) == (200, b"by URL")
    as_root = await fetch("POST", await sandbox.upload_url("r", user="root"), files={"file": ("x", b"r")})
    assert as_root.json()[0]["path"] == "/root/r"


async def test_signature_covers(sandbox):
    """a signed URL is good for its path, operation and time only"""
    headers = {"E2b-Sandbox-Id": sandbox.sandbox_id, "E2b-Sandbox-Port": "49983"}
    await sandbox.files.write("mine.txt", "x")
    url = await sandbox.download_url("mine.txt")
    elsewhere = await fetch("GET", url.replace("mine.txt", "other.txt"), headers=headers)
    assert (elsewhere.status_code, elsewhere.json()) == (401, {"code": 401, "message": "invalid signature"})
    assert (await fetch("POST", url, headers=headers, files={"file": ("x", b"y")})).status_code == 401

    old = await fetch("GET", await sandbox.download_url("mine.txt", use_signature_expiration=-120), headers=headers)
    assert (old.status_code, old.json()) == (401, {"code": 401, "message": "signature is already expired"})
    fresh = await fetch("GET", await sandbox.download_url("mine.txt", use_signature_expiration=120), headers=headers)
    assert fresh.text == "x"


async def test_no_token(sandbox):
    """envd of a secured sandbox refuses whoever has no token"""
    headers = {"E2b-Sandbox-Id": sandbox.sandbox_id, "E2b-Sandbox-Port": "49983"}
    base = sandbox.envd_api_url
    listed = await fetch("POST", f"{base}/process.Process/List", headers=headers, json={})
    assert listed.status_code == 401
    read = await fetch("GET", f"{base}/files?path=x", headers=headers)
    assert (read.status_code, read.json()["message"]) == (401, "missing signature query parameter")


async def test_unsecured(flavor):
    """secure=False: honoured by releases that ask for it, without effect in later ones"""
    sandbox = await flavor.Sandbox.create(secure=False)
    assert (await sandbox.commands.run("echo open")).stdout == "open\n"
    headers = {"E2b-Sandbox-Id": sandbox.sandbox_id, "E2b-Sandbox-Port": "49983"}
    listed = await fetch("POST", f"{sandbox.envd_api_url}/process.Process/List", headers=headers, json={})
    url = await sandbox.download_url("x")
    if can_be_unsecured:
        assert listed.status_code == 200
        assert "signature" not in url
    else:
        assert listed.status_code == 401
        assert "signature=v1_" in url
    await sandbox.kill()


async def test_killed_while_running(flavor):
    """a command in flight when its sandbox is killed ends with the SDK's own explanation"""
    sandbox = await flavor.Sandbox.create()
    running = asyncio.create_task(sandbox.commands.run("echo $$; sleep 60"))
    await asyncio.sleep(0.5)
    begun = time.monotonic()
    await sandbox.kill()
    result = (await asyncio.gather(running, return_exceptions=True))[0]
    assert time.monotonic() - begun < 5
    assert isinstance(result, Exception)
    if hasattr(e2b, "SandboxNotRunningException"):
        assert isinstance(result, TimeoutException)
        assert "The sandbox was killed or reached its end of life while the request was in flight." in str(result)


async def test_after_kill(flavor):
    """what is asked of a killed sandbox is told that it is gone"""
    sandbox = await flavor.Sandbox.create()
    await sandbox.kill()
    for request in (
        lambda: sandbox.commands.run("true"),
        lambda: sandbox.commands.list(),
        lambda: sandbox.files.read("x"),
        lambda: sandbox.files.list("/"),
    ):
        with pytest.raises((TimeoutException, NotFoundException), match="(?i)sandbox"):
            await request()
