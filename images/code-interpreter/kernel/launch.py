"""Starts a Python kernel as programs for E2B expect it: plain tracebacks, whole collections, charts and tables as data."""

import os
import sys

# Debugging by protocol isn't offered, and its import is a third of a kernel's start.
sys.modules["debugpy"] = None  # type: ignore[assignment]
here = os.path.dirname(os.path.abspath(__file__))
# Modules of ours stay importable, behind whatever the user has.
sys.path = [place for place in sys.path if os.path.abspath(place) != here] + [here]

from code_interpreter_kernel.app import KernelApp  # noqa: E402

KernelApp.launch_instance()
