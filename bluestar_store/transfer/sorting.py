"""Sorts the lines of a table in constant memory: sorted files, merged."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

from bluestar_store.disk import open_new
from bluestar_store.keys import Key

RUN_BYTES = 4 * 1024 * 1024
"""What the sorting of one table keeps in memory; layout `single` sorts all tables at once."""
MAX_RUNS = 64
"""Sorted files that are merged at once, all of them open."""


class Sorter:
    """Sorts more lines by their keys than fit into memory: sorted files, merged.

    A record is the key in a form whose bytes sort as (PK, SK) does, and the line. Measured with 200,000 records: 2.2
    microseconds a record, 2.6 by a table of SQLite that is sorted when it is read, 9 by one with the key as its index.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._records: list[bytes] = []
        self._bytes = self._files = 0
        self._runs: list[list[Path]] = []

    def add(self, key: Key, line: bytes) -> None:
        """Take one line."""
        record = b"%s\0%s\0%s\n" % (_sortable(key.pk), _sortable(key.sk), line)
        self._records.append(record)
        self._bytes += len(record) + 48  # what an object takes besides
        if self._bytes > RUN_BYTES:
            self._keep(0, sorted(self._records))
            self._records, self._bytes = [], 0

    def lines(self) -> Iterator[bytes]:
        """All lines in order, each with its end."""
        runs = [path for level in self._runs for path in level]
        for record in heapq.merge(_merged(runs), sorted(self._records)):
            yield record.split(b"\0", 2)[2]

    def _keep(self, level: int, records: Iterable[bytes]) -> None:
        """Write a run; `MAX_RUNS` of one level are merged into one of the next."""
        self._files += 1
        path = self._folder / f"{self._name}.{self._files}.run"
        with open_new(path) as file:
            file.writelines(records)
        if level == len(self._runs):
            self._runs.append([])
        self._runs[level].append(path)
        if len(self._runs[level]) == MAX_RUNS:
            full, self._runs[level] = self._runs[level], []
            self._keep(level + 1, _merged(full))


def _merged(runs: list[Path]) -> Iterator[bytes]:
    """The records of some runs in order; the files are deleted at the end."""
    with ExitStack() as stack:
        yield from heapq.merge(*(stack.enter_context(path.open("rb")) for path in runs))
    for path in runs:
        path.unlink()


_SEPARATING = re.compile(rb"[\0-\n]")


def _sortable(text: str) -> bytes:
    """UTF-8 without the bytes that end a record or a part of it, in the same order."""
    return _SEPARATING.sub(lambda found: bytes((1, 16 + found[0][0])), text.encode())
