"""
Starts a Python kernel as programs for E2B expect it: plain tracebacks, whole collections, charts and tables as data.
With `--fork-server` it does so again and again, by a copy of itself for each kernel that is asked for on stdin.
"""

import os
import sys

# Debugging by protocol isn't offered, and its import is a third of a kernel's start.
sys.modules["debugpy"] = None  # type: ignore[assignment]
here = os.path.dirname(os.path.abspath(__file__))
# Modules of ours stay importable, behind whatever the user has.
sys.path = [place for place in sys.path if os.path.abspath(place) != here] + [here]

from code_interpreter_kernel.app import KernelApp  # noqa: E402

if sys.argv[1:] == ["--fork-server"]:
    from code_interpreter_kernel.fork_server import serve  # noqa: E402

    # Returns in each copy, with the file that says how its kernel is reached.
    sys.argv[1:] = ["-f", serve()]

KernelApp.launch_instance()
