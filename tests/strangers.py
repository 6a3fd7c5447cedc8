"""What of a stranger is read: in bounded time."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.machine import seconds

SECONDS, MEGABYTES = 10.0, 40
"""Generous: it takes a second of this process's time at most, and a few megabytes."""


@pytest.fixture(autouse=True)
def bounded() -> Iterator[None]:
    started = time.process_time()  # what others do on this machine is not counted
    yield
    assert time.process_time() - started < seconds(SECONDS)
