"""What this process has in memory (Linux)."""

from __future__ import annotations

import os
import re
from pathlib import Path


def resident_bytes() -> int:
    """Now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak_bytes() -> int:
    """At most so far; not what getrusage says, which remembers the process that started this one."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    if found is None:
        raise NotImplementedError("this system does not tell a process's peak")
    return int(found[1]) * 1024
