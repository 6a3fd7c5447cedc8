"""The caches of one process. Those of the same environment tell each other of writes; a forked child empties all."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any

_lock = threading.Lock()
_caches: weakref.WeakSet[Any] = weakref.WeakSet()


def join(cache: Any) -> None:
    """From now on it is told."""
    with _lock:
        _caches.add(cache)


def leave(cache: Any) -> None:
    """It is told no more."""
    with _lock:
        _caches.discard(cache)


def of(namespace: str) -> list[Any]:
    """The open caches of one environment."""
    with _lock:
        return [cache for cache in _caches if cache.namespace == namespace]


def _forked() -> None:
    global _lock
    _lock = threading.Lock()
    for cache in list(_caches):
        cache.forked()


os.register_at_fork(after_in_child=_forked)
