"""Python processes of our own that tests talk to, and kill."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[1]


@contextmanager
def python_module(module: str, *arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    """A module as a process, in the environment of the test; ended with the block."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    started = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    try:
        yield started
    finally:
        started.kill()
        started.wait()
        output(started).close()


def output(process: subprocess.Popen[bytes]) -> IO[bytes]:
    """What it prints."""
    assert process.stdout is not None
    return process.stdout
