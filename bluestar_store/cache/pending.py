"""What writers could not tell Redis, kept until it can be told."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bluestar_store.protocols import CacheKey

MAX_NOTICES = 100_000
"""About 40 MB."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A unit that `writer` changes: barred until a time on the cache's clock, or (None) changed and free again."""

    unit: CacheKey
    writer: bytes
    until: float | None


class Pending:
    """The last notice of each writer for each unit. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._notices: dict[tuple[CacheKey, bytes], Notice] = {}
        self.overflowed = False

    def __bool__(self) -> bool:
        return bool(self._notices) or self.overflowed

    def __len__(self) -> int:
        return len(self._notices)

    def add(self, notices: Iterable[Notice]) -> None:
        """Keep them; a later one of the same writer takes the place of an earlier one.

        When there are too many, none is kept, and everything there is has to be forgotten instead.
        """
        with self._lock:
            self._notices.update({(notice.unit, notice.writer): notice for notice in notices})
            if len(self._notices) > MAX_NOTICES:
                # What may still be committed is kept: it has to be barred, not only forgotten.
                self._notices = {at: notice for at, notice in self._notices.items() if notice.until is not None}
                self.overflowed = True

    def put_back(self, notices: Iterable[Notice], overflowed: bool) -> None:
        """Keep what was taken and could not be told, except where there is a later one by now."""
        with self._lock:
            self.overflowed |= overflowed
            self._notices = {(notice.unit, notice.writer): notice for notice in notices} | self._notices

    def seen(self) -> Sequence[Notice]:
        """All of them, which stay."""
        with self._lock:
            return list(self._notices.values())

    def take(self) -> tuple[Sequence[Notice], bool]:
        """All of them, and whether there were more; they are the caller's now."""
        with self._lock:
            notices, self._notices = self._notices, {}
            overflowed, self.overflowed = self.overflowed, False
            return list(notices.values()), overflowed
