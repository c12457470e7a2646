"""Process groups with more members than can be dealt with one by one, as of code that forks without end."""

import asyncio
import os
from collections.abc import Callable

MEMBERS = 256
"""A group of more is ended where it has to be interrupted: the time to interrupt each may never come"""
LOOK_S = 0.1
LEFT_BYTES = 512 * 1024 * 1024
"""Less than this, and than half of the memory, is little for so many"""


def is_one(group: int) -> bool:
    """Whether a process group has too many members."""
    processes = [int(name) for name in os.listdir("/proc") if name.isdecimal()]
    return len(processes) > MEMBERS and sum(_group_of(each) == group for each in processes) > MEMBERS


async def watch(group: int, end: Callable[[], None]) -> None:
    """
    Calls `end` when a group has too many members and they leave little memory. The system would end one after the other
    then, while all others, this server too, wait for minutes.
    """
    while True:
        await asyncio.sleep(LOOK_S)
        if is_one(group) and _is_memory_short():
            end()


def _is_memory_short() -> bool:
    with open("/proc/meminfo") as file:
        fields = dict(line.split(":", 1) for line in file)
    total, available = (int(fields[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable"))
    return available < min(total / 2, LEFT_BYTES)


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except OSError:
        return None
