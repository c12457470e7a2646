"""Starting and ending a kernel's process, with its channels."""

import os
from typing import Any
from uuid import uuid4

import zmq
from jupyter_client import AsyncKernelManager
from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

from .fork_server import ForkServer

CONNECTIONS = "/run/code-interpreter"
"""Folder of the files that say how a kernel is reached"""
HELD_MESSAGES = 16
"""Messages that wait for a reader; past that the kernel itself waits, which bounds what a slow reader costs"""
RECONNECT_MS = 5
_SPECIFICATIONS = KernelSpecManager(
    kernel_dirs=["/usr/local/share/jupyter/kernels", "/usr/share/jupyter/kernels"], ensure_native_kernel=False
)


class KernelError(Exception):
    """A kernel can't be started; the text is for clients."""


async def launch(
    name: str, *, cwd: str, env: dict[str, str], forks: ForkServer
) -> tuple[AsyncKernelManager, AsyncKernelClient]:
    """Starts a kernel, which has yet to answer. Errors: `KernelError`."""
    manager = _Manager(
        kernel_name=name, kernel_spec_manager=_SPECIFICATIONS, connection_file=f"{CONNECTIONS}/{uuid4()}.json"
    )
    manager.forks = forks
    try:
        os.makedirs(CONNECTIONS, mode=0o700, exist_ok=True)
        await manager.start_kernel(cwd=cwd, env=env)
    except NoSuchKernel:
        raise KernelError(f"Failed to create context: there is no kernel for the language {name!r}") from None
    except Exception as failure:
        # The specification and all that it names are files of the sandbox, and may say anything.
        raise KernelError(f"Failed to create context: the kernel {name!r} did not start: {failure}") from failure
    client = manager.client()
    # What is read ahead is held twice otherwise, a thousand messages of it here.
    client.context.setsockopt(zmq.RCVHWM, HELD_MESSAGES)
    # It listens some time after its start.
    client.context.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
    client.start_channels(stdin=False, hb=False)
    return manager, client


async def end(manager: AsyncKernelManager, client: AsyncKernelClient) -> None:
    """Ends a kernel, its process group and its channels. Never fails."""
    client.stop_channels()
    try:
        await manager.shutdown_kernel(now=True)
    except Exception:
        # What is left is a process that can't be waited for, or a connection file that is gone.
        pass


class _Manager(AsyncKernelManager):
    forks: ForkServer

    async def _async_launch_kernel(self, kernel_cmd: list[str], **options: Any) -> None:
        specification = self.kernel_spec
        if specification is None or not ForkServer.can_start(specification.argv, specification.env):
            return await super()._async_launch_kernel(kernel_cmd, **options)
        provisioner = self.provisioner
        process = await self.forks.fork(connection_file=self.connection_file, cwd=options["cwd"], env=options["env"])
        provisioner.process = process
        # The kernel is made the leader of a group of its own.
        provisioner.pid = provisioner.pgid = process.pid
        self._reconcile_connection_info(provisioner.connection_info)

    _launch_kernel = _async_launch_kernel
