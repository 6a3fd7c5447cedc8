"""The file engine's table files: readable JSON, an item a line, replaced whole or not at all."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TypeAlias

from bluestar_store.disk import read_plain
from bluestar_store.engines.item_json import item_from_json, to_json, unique_names
from bluestar_store.engines.memory.tables import Table
from bluestar_store.errors import InvalidWriteError, ItemDecodeError, ItemTooLargeError
from bluestar_store.protocols import IndexSpec, TableSpec, key_of
from bluestar_store.whole_files import replace_file

MAX_TABLE_BYTES = 1024 * 1024 * 1024
"""Of a table's file, which is in memory as a whole."""

Stamp: TypeAlias = tuple[int, int, int]

_ITEMS = re.compile(r'"items"\s*:\s*\[')
_BETWEEN = re.compile(r"[\s,]*")
"""What stands between two values of a list."""


def read_table(path: Path) -> tuple[Table, int]:
    """The table in a file, and the number of the last journal entry that it contains.

    ItemDecodeError names file and line of what somebody broke; the file stays as it is.
    """
    data = read_plain(path, MAX_TABLE_BYTES)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ItemDecodeError(f"{path} line {line}", "is not UTF-8; mend it by hand") from None
    try:
        content = json.loads(text, object_pairs_hook=unique_names)
        items, header = content.pop("items"), content
        indexes = tuple(IndexSpec(*index) for index in header.get("indexes", ()))
        applied = header.get("applied", 0)
        if not isinstance(items, list) or not isinstance(applied, int):
            raise TypeError
    except json.JSONDecodeError as error:
        raise ItemDecodeError(f"{path} line {error.lineno}", f"is not JSON: {error.msg}; mend it by hand") from None
    except (AttributeError, KeyError, TypeError, RecursionError):
        raise ItemDecodeError(f"{path} line 1", 'is no table file: {"items": [...]} is needed') from None
    except ValueError as error:
        raise ItemDecodeError(f"{path} line {_line_of_repeated(text)}", f"{error}; mend it by hand") from None
    table = Table(TableSpec(path.stem, indexes))
    for number, raw in enumerate(items):
        try:
            item = item_from_json(path.stem, raw)
            if table.get(key_of(item)) is not None:
                raise ValueError(f"is a second item with {key_of(item)}")
        except (ValueError, InvalidWriteError, ItemTooLargeError, RecursionError) as error:
            raise ItemDecodeError(f"{path} line {_line_of_item(text, number)}", f"{error}; mend it by hand") from None
        table.set(key_of(item), item)
    return table, applied


def _item_lines(text: str) -> Iterator[tuple[int, int]]:
    """The position and line of each item, however the file is laid out; the text must be JSON with "items"."""
    start = _ITEMS.search(text)
    position, line, counted = start.end() if start else len(text), 1, 0
    decoder = json.JSONDecoder()
    while (between := _BETWEEN.match(text, position)) and not text.startswith("]", begin := between.end()):
        line, counted = line + text.count("\n", counted, begin), begin
        yield begin, line
        _, position = decoder.raw_decode(text, begin)


def _line_of_item(text: str, number: int) -> int:
    """The line on which the n-th item begins."""
    return next(islice((line for _, line in _item_lines(text)), number, None), 1)


def _line_of_repeated(text: str) -> int:
    """The line on which the first item with a name given twice begins; 1 when it is the header's."""
    decoder = json.JSONDecoder(object_pairs_hook=unique_names)
    for position, line in _item_lines(text):
        try:
            decoder.raw_decode(text, position)
        except ValueError:
            return line
    return 1


def stamp_of(stat: os.stat_result) -> Stamp:
    """What changes when somebody else writes the file: modification time in nanoseconds, size, inode."""
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def write_table(path: Path, table: Table, applied: int) -> Stamp:
    """Replace the file by the table, whole; the folder is the caller's to sync. Returns the new file's stamp."""
    return stamp_of(replace_file(path, _parts(table, applied)))


def _parts(table: Table, applied: int) -> Iterator[bytes]:
    """The content of a table's file."""
    indexes = [[index.name, index.partition_attribute, index.sort_attribute] for index in table.spec.indexes]
    header = f'{{\n"table": {to_json(table.spec.name)},\n"indexes": {to_json(indexes)},\n"applied": {applied},\n'
    yield f'{header}"items": ['.encode()
    separator = "\n"
    for item in table.items():
        yield f"{separator}{to_json(item)}".encode()
        separator = ",\n"
    yield b"\n]\n}\n"
