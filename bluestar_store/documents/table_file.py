"""The file of one table: a readable JSON list of items, held in memory, replaced whole by every write."""

from __future__ import annotations

import os
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from bluestar_store.disk import in_doubt, open_plain, read_most
from bluestar_store.documents.json_form import from_json, item_text
from bluestar_store.documents.store import checked_wire
from bluestar_store.documents.values import UnsupportedValueError
from bluestar_store.engines.exact_json import exact_json, pointer_part
from bluestar_store.engines.file.table_files import MAX_TABLE_BYTES, Stamp, stamp_of
from bluestar_store.errors import ItemDecodeError
from bluestar_store.protocols import Item
from bluestar_store.whole_files import replace_file, sync_names

MAX_PROBLEMS = 100
"""Mistakes that are told at once."""

CheckItem = Callable[[Mapping[str, Any]], Item]
"""Gives an item in wire form, or raises UnsupportedValueError."""


class TableFile:
    """What is in the file, as of the last look at it. The store holds the locks, and copies what it gives away."""

    def __init__(self, path: Path, pk_name: str, fields: Iterable[str]) -> None:
        self.path, self._pk_name, self._fields = path, pk_name, tuple(fields)
        self._stamp: Stamp | None = None
        self._close: Callable[[], object] = lambda: None
        self._clear()

    def _clear(self) -> None:
        self.items: dict[str, Item] = {}
        self._texts: dict[str, str] = {}
        self._index: dict[tuple[str, str], set[str]] = defaultdict(set)

    def _apply(self, items: Mapping[str, Item]) -> None:
        for key, item in items.items():
            for place in self._places(self.items.get(key, {})):
                self._index[place].discard(key)
            for place in self._places(item):
                self._index[place].add(key)
        self.items.update(items)

    def _places(self, item: Item) -> Iterator[tuple[str, str]]:
        """Where the item is to be found. A field that is no text, from before it had an index, leads nowhere."""
        for field in self._fields:
            if text := item.get(field, {}).get("S"):
                yield field, text

    def find(self, field: str, value: str) -> list[Item]:
        """The items whose field has this text."""
        return [self.items[key] for key in self._index.get((field, value), ())]

    def refresh(self) -> None:
        """Read the file again where it is not the one that was read, or written, last.

        What another process renamed is on disk before it counts. ItemDecodeError says what is wrong with a file that
        somebody edited; it stays as it is.
        """
        if stamp_of(self.path.stat()) == self._stamp:
            return
        sync_names(self.path)
        with open_plain(self.path) as file:
            descriptor = os.dup(file.fileno())
            try:
                stamp = stamp_of(os.fstat(descriptor))
                items = self._parsed(read_most(file, MAX_TABLE_BYTES))
            except BaseException:
                os.close(descriptor)
                raise
        self._clear()
        self._apply(items)
        self._keep(descriptor, stamp)

    def _keep(self, descriptor: int, stamp: Stamp) -> None:
        """Keep the file open: so no later file can have its inode, and by chance its size and time too."""
        self._close()
        self._close = weakref.finalize(self, os.close, descriptor)
        self._stamp = stamp

    def _parsed(self, data: bytes) -> dict[str, Item]:
        try:
            content = exact_json(data, None)
        except ValueError as error:
            raise ItemDecodeError(str(self.path), f"is not JSON: {error}; mend it by hand") from None
        if not isinstance(content, list):
            raise ItemDecodeError(str(self.path), "is no list of items, as documents are")
        items, problems = read_items(content, self._pk_name, partial(checked_wire, pk_name=self._pk_name))
        for pointer, reason in problems:
            raise ItemDecodeError(f"{self.path}#{pointer}", f"{reason}; mend it by hand")
        return items

    def save(self, items: Mapping[str, Item], *, alone: bool = False) -> None:
        """Put the items into the file, durably, or leave it as it was; with `alone`, no others stay.

        InDoubtError where only the last step failed: they are settled when the file is read again.
        """
        whole: dict[str, Item] = {**({} if alone else self.items), **items}
        # What did not change was spelled out by the write before.
        texts = {key: (key not in items and self._texts.get(key)) or _lines(whole[key]) for key in sorted(whole)}
        replace_file(self.path, _parts(texts.values()))
        with in_doubt():
            sync_names(self.path)
        with suppress(OSError):  # it is written, and is read again where it cannot be kept open
            descriptor = os.open(self.path, os.O_RDONLY)
            stamp = stamp_of(os.fstat(descriptor))
            if alone:
                self._clear()
            self._apply(items)
            self._texts = texts
            self._keep(descriptor, stamp)


def read_items(
    content: Iterable[Any], pk_name: str, check_item: CheckItem
) -> tuple[dict[str, Item], list[tuple[str, str]]]:
    """The items in parsed JSON by their keys, and each problem: a JSON pointer into the list, and what is wrong."""
    items: dict[str, Item] = {}
    problems: list[tuple[str, str]] = []
    for number, value in enumerate(content):
        if len(problems) >= MAX_PROBLEMS:
            problems.append(("", "may have more: these are the first ones"))
            break
        pointer = f"/{number}"
        if not isinstance(value, dict):
            problems.append((pointer, "is no object"))
            continue
        try:
            item = check_item({name: _decoded(name, inner) for name, inner in value.items()})
        except UnsupportedValueError as error:
            place = "" if error.attribute is None else f"/{pointer_part(error.attribute)}"
            problems.append((pointer + place, error.reason))
            continue
        key = item[pk_name]["S"]
        if key in items:
            problems.append((f"{pointer}/{pointer_part(pk_name)}", "is the key of an item before it, too"))
        items.setdefault(key, item)
    return items, problems


def _decoded(name: str, value: Any) -> Any:
    try:
        return from_json(value)
    except ValueError as error:
        raise UnsupportedValueError(name, str(error)) from None
    except RecursionError:
        raise UnsupportedValueError(name, "is nested too deeply") from None


def _lines(item: Item) -> str:
    """An item as it stands in the list: a newline inside a text is an escape, so that all of these are between."""
    return "  " + item_text(item).replace("\n", "\n  ")


def _parts(texts: Iterable[str]) -> Iterator[bytes]:
    yield b"["
    separator = "\n"
    for text in texts:
        yield f"{separator}{text}".encode()
        separator = ",\n"
    yield b"]\n" if separator == "\n" else b"\n]\n"
