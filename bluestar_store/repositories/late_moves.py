"""Moves of revisions that are made after their write: as soon as the engine takes them, by one thread for all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TypeAlias

from bluestar_store.errors import BlueStarError
from bluestar_store.keys import Key
from bluestar_store.protocols import Place
from bluestar_store.threads import began

Moved: TypeAlias = Mapping[Place, list[tuple[str, Key]]]
PAUSES_SECONDS = 0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0
"""Before each try. After the last one readers may see such a write in part."""
MOST_PLACES = 1000
"""Revisions that wait; of more than that nobody is told later."""


class LateMoves:
    """Safe for threads; a forked child calls `forked`."""

    def __init__(self) -> None:
        self.forked()

    def forked(self) -> None:
        """Begin anew: what waits is the parent's to tell."""
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._waiting: dict[Place, dict[tuple[str, Key], None]] = {}
        self._runs = False

    def add(self, moved: Moved, make: Callable[[Moved], object]) -> None:
        """Have moves made; returns at once. Those of one revision are made together, whoever they are of."""
        with self._lock:
            for place, keys in moved.items():
                if place in self._waiting or len(self._waiting) < MOST_PLACES:
                    self._waiting.setdefault(place, {}).update(dict.fromkeys(keys))
            if self._runs or self._closing.is_set():
                return
            thread = threading.Thread(target=self._run, args=(make,), name="bluestar-moves", daemon=True)
            self._runs = began(thread)

    def close(self) -> None:
        """End the thread, with what it has not told; may be called twice."""
        self._closing.set()

    def _run(self, make: Callable[[Moved], object]) -> None:
        tries = 0
        while not self._closing.wait(PAUSES_SECONDS[tries]):
            with self._lock:
                waiting, self._waiting = self._waiting, {}
            try:
                make({place: list(keys) for place, keys in waiting.items()})
                tries = 0
            except BlueStarError:
                tries += 1
            except Exception:  # such as of an engine that was closed: nobody is there to be told
                tries = len(PAUSES_SECONDS)
            with self._lock:
                if 0 < tries < len(PAUSES_SECONDS):
                    for place, keys in waiting.items():
                        self._waiting.setdefault(place, {}).update(keys)
                elif tries or not self._waiting:
                    self._waiting, self._runs = {}, False
                    return
