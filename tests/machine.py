"""Bounds of processor time, which hold on slower machines too."""

from __future__ import annotations

import time

LOOP, LOOP_SECONDS = 2_000_000, 0.04
"""Rounds of an empty loop, and what they took where the bounds were set."""


def seconds(bound: float) -> float:
    """As much of this thread's processor time as so many seconds were there; never less."""
    began = time.thread_time()
    for _ in range(LOOP):
        pass
    return bound * max(1.0, (time.thread_time() - began) / LOOP_SECONDS)
