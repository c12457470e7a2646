import asyncio
import time

import httpcore
import pytest
from e2b import (
    AuthenticationException,
    CommandExitException,
    InvalidArgumentException,
    NotFoundException,
    PtySize,
    TimeoutException,
)
from pytest import mark


@mark.proves("commands.run")
async def test_run(sandbox):
    """run: output, exit code, both streams"""
    result = await sandbox.commands.run("echo out; echo err >&2")
    assert (result.stdout, result.stderr, result.exit_code) == ("out\n", "err\n", 0)
    assert not result.error


@mark.proves("commands.run")
async def test_non_zero_exit(sandbox):
    """a non-zero exit raises with code and output"""
    with pytest.raises(CommandExitException) as raised:
        await sandbox.commands.run("echo partial; echo wrong >&2; exit 7")
    error = raised.value
    assert (error.exit_code, error.stdout, error.stderr, error.error) == (7, "partial\n", "wrong\n", "exit status 7")


async def test_unknown_command(sandbox):
    """an unknown command exits 127"""
    with pytest.raises(CommandExitException, match="command not found") as raised:
        await sandbox.commands.run("no-such-command-here")
    assert raised.value.exit_code == 127


@mark.proves("commands.run")
async def test_user_and_cwd(sandbox):
    """user, home, working directory"""
    run = sandbox.commands.run
    assert (await run("whoami; pwd; echo $HOME")).stdout == "user\n/home/user\n/home/user\n"
    assert (await run("whoami; pwd", user="root")).stdout == "root\n/root\n"
    assert (await run("pwd", cwd="/usr/lib")).stdout == "/usr/lib\n"
    assert (await run("pwd", cwd="~")).stdout == "/home/user\n"


async def test_refusals(sandbox):
    """a missing cwd and an unknown user are refused by name"""
    with pytest.raises(InvalidArgumentException, match="cwd '/nowhere' does not exist"):
        await sandbox.commands.run("pwd", cwd="/nowhere")
    with pytest.raises(AuthenticationException, match="nobody-here"):
        await sandbox.commands.run("id", user="nobody-here")


@mark.proves("commands.run")
async def test_environment(sandbox):
    """a command's environment, which the next one doesn't have"""
    assert (await sandbox.commands.run('echo "$X"', envs={"X": "ü y"})).stdout == "ü y\n"
    assert (await sandbox.commands.run('echo "$X"')).stdout == "\n"


@mark.proves("commands.list", "commands.kill", "commandHandle.wait")
async def test_background_list_kill(sandbox, flavor):
    """background, list, kill by pid"""
    handle = await sandbox.commands.run("sleep 300", background=True)
    listed = {process.pid: process for process in await sandbox.commands.list()}
    assert listed[handle.pid].cmd == "/bin/bash"
    assert listed[handle.pid].args == ["-l", "-c", "sleep 300"]
    assert await sandbox.commands.kill(handle.pid) is True
    with pytest.raises(CommandExitException) as raised:
        await handle.wait()
    assert (raised.value.exit_code, raised.value.error) == (-1, "signal: killed")
    with pytest.raises(CommandExitException):
        await sandbox.commands.run(f"kill -0 {handle.pid}")
    assert await sandbox.commands.kill(999_999) is False
    assert handle.pid not in [process.pid for process in await sandbox.commands.list()]


@mark.proves("commandHandle.kill")
async def test_handle_kill(sandbox):
    """a handle's kill, twice"""
    handle = await sandbox.commands.run("sleep 300", background=True)
    assert await handle.kill() is True
    with pytest.raises(CommandExitException):
        await handle.wait()
    assert await handle.kill() is False


@mark.proves("commands.connect", "commands.sendStdin", "commandHandle.disconnect", "commandHandle.wait")
async def test_connect(sandbox):
    """connect sees what comes later, and the exit"""
    handle = await sandbox.commands.run("read line; echo late $line", background=True, stdin=True)
    await handle.disconnect()
    again = await sandbox.commands.connect(handle.pid)
    await sandbox.commands.send_stdin(handle.pid, "x\n")
    result = await again.wait()
    assert (result.stdout, result.exit_code) == ("late x\n", 0)
    with pytest.raises(NotFoundException):
        await sandbox.commands.connect(999_999)


@mark.proves("commands.sendStdin")
async def test_stdin(sandbox):
    """stdin, in order"""
    handle = await sandbox.commands.run("head -n 3", background=True, stdin=True)
    for line in ("one\n", "two\n", "drei ü\n"):
        await sandbox.commands.send_stdin(handle.pid, line)
    assert (await handle.wait()).stdout == "one\ntwo\ndrei ü\n"


@mark.needs("Commands.close_stdin")
@mark.proves("commands.closeStdin")
async def test_close_stdin(sandbox):
    """close_stdin ends a reader"""
    handle = await sandbox.commands.run("cat; echo end", background=True, stdin=True)
    await sandbox.commands.send_stdin(handle.pid, b"bytes\n")
    await sandbox.commands.close_stdin(handle.pid)
    assert (await handle.wait()).stdout == "bytes\nend\n"


@mark.needs("CommandHandle.close_stdin")
@mark.proves("commandHandle.sendStdin", "commandHandle.closeStdin")
async def test_handle_stdin(sandbox):
    """a handle's send_stdin and close_stdin"""
    handle = await sandbox.commands.run("cat", background=True, stdin=True)
    await handle.send_stdin("by handle")
    await handle.close_stdin()
    assert (await handle.wait()).stdout == "by handle"


@mark.needs("Commands.stream_input")
@mark.proves("commands.streamInput", "commandInputHandle.send", "commandInputHandle.close")
async def test_stream_input(sandbox, flavor):
    """stream_input: many pieces over one request, in order"""
    handle = await sandbox.commands.run("sha256sum", background=True, stdin=True)
    pieces = [f"{number}\n" for number in range(2000)]
    await flavor.stream_input(sandbox.commands, handle.pid, pieces)
    await sandbox.commands.close_stdin(handle.pid)
    expected = await sandbox.commands.run("seq 0 1999 | sha256sum")
    assert (await handle.wait()).stdout == expected.stdout
    with pytest.raises(NotFoundException):
        await flavor.stream_input(sandbox.commands, 999_999, ["x"])


async def test_no_stdin(sandbox):
    """without stdin a reader ends at once"""
    assert (await sandbox.commands.run("cat")).exit_code == 0


@mark.proves("commands.run")
async def test_timeout(sandbox, eventually):
    """a timeout ends the command with the SDK's own explanation"""
    begun = time.monotonic()
    with pytest.raises((TimeoutException, httpcore.ReadTimeout)) as raised:
        await sandbox.commands.run("exec -a timed sleep 30", timeout=1)
    # Old blocking clients give up reading after the same time, and whichever is first tells.
    if not isinstance(raised.value, httpcore.ReadTimeout):
        assert "exceeding 'timeout'" in str(raised.value)
    assert time.monotonic() - begun < 5

    async def ended():
        return (await sandbox.commands.run('pgrep -fc "^timed" || true')).stdout == "0\n"

    await eventually(ended)


async def test_split_characters(sandbox):
    """output that is not text, or splits characters, arrives as one would decode it"""
    script = "import sys; sys.stdout.buffer.write(b'a' * 8191 + 'ü'.encode() + b'\\xff' + b'z')"
    assert (await sandbox.commands.run(f'python3 -c "{script}"')).stdout == "a" * 8191 + "ü\ufffdz"
    script = "import sys; sys.stdout.buffer.write(b'a' * 8191 + b'\\xe2')"
    assert (await sandbox.commands.run(f'python3 -c "{script}"')).stdout == "a" * 8191 + "\ufffd"


async def test_much_output(sandbox):
    """a lot of output arrives whole and in order"""
    result = await sandbox.commands.run("seq 1 200000")
    assert result.stdout == "".join(f"{number}\n" for number in range(1, 200_001))


@mark.proves("commands.run", "commandHandle.wait")
async def test_callbacks(sandbox, flavor, eventually):
    """callbacks get output while the command runs"""
    out, err = [], []
    result = await sandbox.commands.run("echo o; echo e >&2", on_stdout=out.append, on_stderr=err.append)
    assert ("".join(out), "".join(err), result.stdout) == ("o\n", "e\n", "o\n")

    seen = []
    handle, ended = await flavor.follow(sandbox, "echo first; read; echo second", seen.append, stdin=True)
    await eventually(lambda: "".join(seen) == "first\n")
    await sandbox.commands.send_stdin(handle.pid, "\n")
    assert (await ended).stdout == "first\nsecond\n"
    assert "".join(seen) == "first\nsecond\n"


async def test_many_at_once(sandbox):
    """forty commands at once"""
    results = await asyncio.gather(*(sandbox.commands.run(f"echo {number}") for number in range(40)))
    assert [result.stdout for result in results] == [f"{number}\n" for number in range(40)]


@mark.proves("pty.create", "pty.sendStdin", "pty.resize")
async def test_terminal(sandbox, flavor, eventually):
    """a terminal: input, size, resize, exit"""
    screen = bytearray()
    terminal, ended = await flavor.open_pty(sandbox, screen.extend, envs={"FOO": "bar"}, cwd="/tmp")
    type_in = lambda text: sandbox.pty.send_stdin(terminal.pid, text.encode())
    await type_in('stty size; tty; echo "$TERM $FOO $PWD"\n')
    await eventually(lambda: b"xterm-256color bar /tmp" in screen)
    assert b"24 80\r\n/dev/pts/" in screen
    await sandbox.pty.resize(terminal.pid, PtySize(rows=40, cols=100))
    await type_in("stty size\n")
    await eventually(lambda: b"40 100" in screen)
    await type_in("exit\n")
    assert (await ended).exit_code == 0


@mark.proves("pty.connect", "pty.kill")
async def test_terminal_connect_kill(sandbox, flavor, eventually):
    """connect to a terminal from elsewhere; kill it, twice"""
    terminal, ended = await flavor.open_pty(sandbox, lambda data: None)
    await terminal.disconnect()
    await asyncio.gather(ended, return_exceptions=True)
    screen = bytearray()
    again, ended = await flavor.connect_pty(sandbox, terminal.pid, screen.extend)
    await sandbox.pty.send_stdin(terminal.pid, b"echo $((6*7))\n")
    await eventually(lambda: b"42" in screen)
    assert await sandbox.pty.kill(terminal.pid) is True
    with pytest.raises(CommandExitException) as raised:
        await ended
    assert raised.value.error == "signal: killed"
    assert await sandbox.pty.kill(terminal.pid) is False


@mark.needs("Pty.stream_input")
@mark.proves("pty.streamInput")
async def test_terminal_stream_input(sandbox, flavor, eventually):
    """stream_input types into a terminal"""
    screen = bytearray()
    terminal, ended = await flavor.open_pty(sandbox, screen.extend)
    await flavor.stream_input(sandbox.pty, terminal.pid, ["echo one-", "two\n", b"exit\n"])
    assert (await ended).exit_code == 0
    # Once as it was typed, once as the answer.
    assert screen.count(b"one-two") >= 2
