"""The caches of one process: those of the same environment tell each other of writes."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING

from bluestar_store.forking import remember

if TYPE_CHECKING:
    from bluestar_store.cache.tiered import TieredCache


class Families:
    """Who looks at the same data. Readers take no lock: a family is a tuple that is replaced, never changed."""

    def __init__(self) -> None:
        self._families: dict[str, tuple[weakref.ref[TieredCache], ...]] = {}
        self.forked()
        remember(self)

    def forked(self) -> None:
        """In a forked child: another thread of the parent may have held the lock."""
        self._lock = threading.Lock()

    def join(self, cache: TieredCache) -> None:
        """From now on it is told."""
        self._replace(cache, weakref.ref(cache))

    def leave(self, cache: TieredCache) -> None:
        """It is told no more."""
        self._replace(cache)

    def _replace(self, cache: TieredCache, *added: weakref.ref[TieredCache]) -> None:
        with self._lock:
            others = (ref for ref in self._families.get(cache.namespace, ()) if ref() not in (None, cache))
            family = (*others, *added)
            if family:
                self._families[cache.namespace] = family
            else:
                self._families.pop(cache.namespace, None)

    def of(self, namespace: str) -> list[TieredCache]:
        """The open caches of one environment."""
        return [cache for ref in self._families.get(namespace, ()) if (cache := ref()) is not None]


FAMILIES = Families()
