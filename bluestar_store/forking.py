"""What objects reset in a forked child: locks of other threads, and the parent's connections and threads."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forked(Protocol):
    """Something that a forked child has to make anew."""

    def forked(self) -> None:
        """Called in the child, before it does anything else. Nothing of the parent's may be used, nor closed."""


_all: weakref.WeakSet[Forked] = weakref.WeakSet()


def remember(one: Forked) -> None:
    """Have it called in every child that is forked while it lives."""
    _all.add(one)


def _in_child() -> None:
    for one in list(_all):
        one.forked()


if hasattr(os, "register_at_fork"):  # nothing is forked on Windows
    os.register_at_fork(after_in_child=_in_child)
