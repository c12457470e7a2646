"""One Jupyter kernel: a process, its channels, and the code that runs in it, one piece at a time."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from jupyter_client import AsyncKernelManager
from jupyter_client.asynchronous import AsyncKernelClient

from . import swarm
from .events import Event, error, event_of
from .fork_server import ForkServer
from .languages import Language
from .launch import HELD_MESSAGES, KernelError, end, launch

START_S = 60.0
"""Time in which a kernel answers after its start"""
LOST_S = 5.0
"""Time after which a request that has no reply counts as lost"""
REPLY_S = 2.0
"""Time between a kernel's last word on its output channel and its reply"""
LAST_WORDS_S = 0.2
"""Time in which what a kernel said before its end is still read"""
INTERRUPT_S = 3.0
"""Time between two interrupts of code that goes on regardless"""
IDLE_VICTIM, RUNNING_VICTIM = "500", "700"
"""When memory runs out, kernels are ended before the server, and first those that run something, and its children"""


class _Execution:
    """What runs, and what the kernel has said of it."""

    def __init__(self, msg_id: str):
        self.msg_id = msg_id
        self.fence_id = ""
        self.queue: asyncio.Queue[Any] = asyncio.Queue(HELD_MESSAGES)


class Kernel:
    """A running kernel. `on_death` is called once, when its process ends unasked."""

    def __init__(
        self, language: Language, manager: AsyncKernelManager, client: AsyncKernelClient, on_death: Callable[[], None]
    ):
        self._language = language
        self._manager = manager
        self._client = client
        self._on_death = on_death
        self._running: _Execution | None = None
        self._replies: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self.dead = asyncio.Event()
        self._asked_to_end = False
        self._pid: int = manager.provisioner.pid
        self._pidfd = os.pidfd_open(self._pid)
        asyncio.get_running_loop().add_reader(self._pidfd, self._ended)
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def start(
        cls, language: Language, *, cwd: str, env: dict[str, str], forks: ForkServer, on_death: Callable[[], None]
    ) -> "Kernel":
        """Starts a kernel and resolves when it has answered. Errors: `KernelError`."""
        name = language.kernel
        manager, client = await launch(name, cwd=cwd, env=env, forks=forks)
        try:
            kernel = cls(language, manager, client, on_death)
        except OSError as failure:
            await end(manager, client)
            raise KernelError(f"Failed to create context: the kernel {name!r} did not start") from failure
        try:
            kernel._be_victim(IDLE_VICTIM)
            await asyncio.wait_for(kernel._ready(), START_S)
            if language.prelude:
                await kernel.run_silently(language.prelude)
        except (TimeoutError, KernelError) as failure:
            await kernel.stop()
            raise KernelError(f"Failed to create context: the kernel {name!r} did not start") from failure
        except BaseException:
            await kernel.stop()
            raise
        return kernel

    async def stop(self) -> None:
        """Ends the process; code that runs ends with an error. Never fails."""
        self._asked_to_end = not self.dead.is_set()
        self._close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await end(self._manager, self._client)

    async def run(self, code: str) -> AsyncIterator[Event]:
        """
        Runs code and yields what comes of it. Ends with the code, or with the kernel (an error event says so). Whoever
        stops reading early calls `interrupt` before the next `run`.
        """
        self._be_victim(RUNNING_VICTIM)
        msg_id, reply = self._send(code, silent=False)
        running = self._running = _Execution(msg_id)
        watching = asyncio.create_task(swarm.watch(self._pid, self._kill_group))
        failed = False
        try:
            async for message in self._messages(running, reply):
                event = event_of(message, self._language.traceback_separator)
                if event is None or (failed and event["type"] == "error"):
                    continue
                failed = failed or event["type"] == "error"
                yield event
            if not failed and (event := await self._outcome(reply)) is not None:
                yield event
        finally:
            watching.cancel()
            self._be_victim(IDLE_VICTIM)
            self._running = None
            self._replies.pop(msg_id, None)

    async def _messages(
        self, running: "_Execution", reply: asyncio.Future[dict[str, Any]]
    ) -> AsyncIterator[dict[str, Any]]:
        """What the kernel says of an execution, until it is idle and has printed all."""
        while (message := await self._next(running.queue)) is not None:
            if message["msg_type"] != "status":
                yield message
            elif message["content"]["execution_state"] == "idle":
                break
        if self._language.fence is None or self.dead.is_set():
            return
        # Deno loses what comes while it answers something else, so it is asked one thing at a time.
        await self._answered(reply)
        mark = f"\0{running.msg_id}"
        running.fence_id, fence_reply = self._send(self._language.fence(mark), silent=True)
        try:
            async with asyncio.timeout(REPLY_S):
                while (message := await self._next(running.queue)) is not None:
                    if message["msg_type"] in ("status", "execute_input"):
                        continue
                    if message["msg_type"] != "stream":
                        # A result that was still on its way
                        yield message
                        continue
                    text, found, _ = message["content"]["text"].partition(mark)
                    if text:
                        yield {**message, "content": {**message["content"], "text": text}}
                    if found:
                        break
            await self._answered(fence_reply)
        except TimeoutError:
            # The code has changed what the fence is printed with.
            return
        finally:
            self._replies.pop(running.fence_id, None)

    async def _answered(self, reply: asyncio.Future[dict[str, Any]]) -> None:
        """Waits for a reply that is due, and not for ever."""
        if not self.dead.is_set():
            await asyncio.wait({reply}, timeout=REPLY_S)

    async def run_silently(self, code: str) -> None:
        """
        Runs code of ours, of which clients see nothing, and waits until it has run or the kernel has ended. It is sent
        again where no reply comes, so it has to be such that it can run twice.
        """
        death = asyncio.ensure_future(self.dead.wait())
        asked: dict[str, asyncio.Future[dict[str, Any]]] = {}
        try:
            async with asyncio.timeout(START_S):
                while not death.done() and not any(reply.done() for reply in asked.values()):
                    msg_id, reply = self._send(code, silent=True)
                    asked[msg_id] = reply
                    await asyncio.wait({death, *asked.values()}, timeout=LOST_S, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            return
        finally:
            death.cancel()
            for msg_id in asked:
                self._replies.pop(msg_id, None)

    async def interrupt(self) -> None:
        """Interrupts what runs, again and again until the kernel is idle or has ended. Some kernels it can only end."""
        if not self._language.interruptible or swarm.is_one(self._pid):
            self._kill_group()
            await self.dead.wait()
        while not self.dead.is_set():
            msg_id, reply = self._send("", silent=True)
            try:
                await self._manager.interrupt_kernel()
                await asyncio.wait_for(asyncio.shield(reply), INTERRUPT_S)
                return
            except TimeoutError:
                if swarm.is_one(self._pid):
                    self._kill_group()
            except (OSError, RuntimeError):
                return
            finally:
                self._replies.pop(msg_id, None)

    def _send(self, code: str, *, silent: bool) -> tuple[str, asyncio.Future[dict[str, Any]]]:
        msg_id = self._client.execute(
            code, silent=silent, store_history=not silent, allow_stdin=False, stop_on_error=False
        )
        reply = asyncio.get_running_loop().create_future()
        self._replies[msg_id] = reply
        return msg_id, reply

    async def _next(self, queue: asyncio.Queue[Any]) -> dict[str, Any] | None:
        """The next message, None once the kernel has ended and all that it said is read."""
        while not self.dead.is_set():
            message = await queue.get()
            if message is not None:
                return message
        try:
            return await asyncio.wait_for(queue.get(), LAST_WORDS_S)
        except TimeoutError:
            return None

    async def _outcome(self, reply: asyncio.Future[dict[str, Any]]) -> Event | None:
        """What only the reply says: kernels may fail without a word on their output channel."""
        if self._asked_to_end:
            return error(
                "UnexpectedEndOfExecution",
                "Connection to the execution was closed before the execution was finished",
            )
        if self.dead.is_set():
            return error("ContextRestarting", "Context was restarted")
        try:
            content = await asyncio.wait_for(asyncio.shield(reply), REPLY_S)
        except TimeoutError:
            return None
        if content["status"] == "ok":
            return None
        if content["status"] in ("abort", "aborted"):
            return error("ExecutionAborted", "Execution was aborted")
        return error(content.get("ename", ""), content.get("evalue", ""), "".join(content.get("traceback", [])))

    async def _ready(self) -> None:
        """Waits for the first answer on each channel: output before that would be lost."""
        waiting = asyncio.ensure_future(self._answers())
        death = asyncio.ensure_future(self.dead.wait())
        try:
            await asyncio.wait({waiting, death}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                raise KernelError("ended")
            await waiting
        finally:
            waiting.cancel()
            death.cancel()
        self._tasks = [asyncio.create_task(self._read_output()), asyncio.create_task(self._read_replies())]

    async def _answers(self) -> None:
        self._client.kernel_info()
        await self._client.get_shell_msg(timeout=None)
        while True:
            try:
                await self._client.get_iopub_msg(timeout=0.2)
                return
            except Exception:
                # The subscription came after the answer.
                self._client.kernel_info()
                await self._client.get_shell_msg(timeout=None)

    async def _read_output(self) -> None:
        while True:
            message = await self._client.get_iopub_msg(timeout=None)
            running = self._running
            if running is not None and message["parent_header"].get("msg_id") in (running.msg_id, running.fence_id):
                await self._hand_over(message, running)

    async def _hand_over(self, message: dict[str, Any], running: "_Execution") -> None:
        """Waits for room, as long as somebody reads."""
        while self._running is running:
            try:
                await asyncio.wait_for(running.queue.put(message), 1)
                return
            except TimeoutError:
                continue

    async def _read_replies(self) -> None:
        while True:
            message = await self._client.get_shell_msg(timeout=None)
            reply = self._replies.get(message["parent_header"].get("msg_id"))
            if reply is not None and not reply.done():
                reply.set_result(message["content"])

    def _kill_group(self) -> None:
        """Ends the kernel with all that it has started, at once: none of them forks meanwhile."""
        with contextlib.suppress(OSError):
            os.killpg(self._pid, signal.SIGKILL)

    def _ended(self) -> None:
        self._kill_group()
        self._close()
        self._on_death()

    def _close(self) -> None:
        if self.dead.is_set():
            return
        self.dead.set()
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        if self._running is not None and self._running.queue.empty():
            # Only a reader of an empty queue waits; any other looks at `dead` first.
            self._running.queue.put_nowait(None)

    def _be_victim(self, score: str) -> None:
        if self.dead.is_set():
            return
        try:
            Path(f"/proc/{self._pid}/oom_score_adj").write_text(score)
        except OSError:
            # The kernel has ended, or its sandbox forbids it: then it is as likely as the server.
            pass
