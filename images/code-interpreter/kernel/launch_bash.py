"""Starts bash_kernel without the pause that pexpect makes before each line, of which a start has dozens."""

import pexpect
from ipykernel.kernelapp import IPKernelApp


class Spawn(pexpect.spawn):
    """The pause is for programs that turn their echo off late; this one starts without."""

    def __init__(self, *args: object, **kwargs: object):
        super().__init__(*args, **kwargs)
        self.delaybeforesend = None


pexpect.spawn = Spawn

from bash_kernel.kernel import BashKernel  # noqa: E402

IPKernelApp.launch_instance(kernel_class=BashKernel)
