"""The files of an export: one line an item, and a manifest that says what belongs to it.

The same items give the same bytes whatever engine, layout or order of scanning they come from: attribute names, sets
and lines are sorted, numbers have the one spelling, binary is base64 as in DynamoDB's own JSON.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from filelock import FileLock, Timeout
from pydantic_core import to_json

from bluestar_store import disk
from bluestar_store.disk import FOLDER, POSIX, lock, open_plain, read_plain
from bluestar_store.engines.exact_json import exact_json
from bluestar_store.engines.item_json import item_from_json
from bluestar_store.errors import (
    FileMissingError,
    FileStoreError,
    InvalidKeyError,
    InvalidWriteError,
    ItemDecodeError,
    ItemTooLargeError,
)
from bluestar_store.keys import Key, shown
from bluestar_store.mapping.values import number_text
from bluestar_store.mapping.wire import in_order, rewriter
from bluestar_store.protocols import AttributeValue, Item, key_of

FORMAT = 1
MANIFEST = "manifest.json"
MAX_LINE_BYTES = 4 * 1024 * 1024
"""More than an item of 400 KB takes in JSON, where a byte may become six."""

Progress: TypeAlias = Callable[[str, int, int | None], None]
"""Told again and again: what is being done ("export", "check", ...), how many items are done, of how many if known."""

_NORMAL_NUMBER = re.compile(r"0|-?[1-9][0-9]*|-?(?:0|[1-9][0-9]*)\.[0-9]*[1-9]")


def line_of(item: Mapping[str, AttributeValue]) -> bytes:
    """The item's one line, without its end. Two items are the same when their lines are."""
    return to_json({name: value if "S" in (value := item[name]) else _spelled(value) for name in sorted(item)})


def _number(text: str) -> str:
    return text if _NORMAL_NUMBER.fullmatch(text) else number_text(text)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


_spelled = rewriter(
    {
        "N": _number,
        "B": _base64,
        "SS": sorted,
        "NS": lambda content: sorted(map(_number, content)),
        "BS": lambda content: [_base64(member) for member in sorted(content)],
        "M": in_order,
    }
)
"""A wire value as exports spell it."""
_read_back = rewriter({"B": base64.b64decode, "BS": lambda content: [base64.b64decode(member) for member in content]})
"""The wire value that exports spell like this."""


class TableDigest(NamedTuple):
    """How many items a table has, and the SHA-256 in hex of their sorted lines."""

    items: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What an export consists of, by the tables' names without prefix. `plans`: what it was limited to, if it was."""

    tables: Mapping[str, TableDigest]
    plans: tuple[str, ...] | None = None

    @property
    def items(self) -> int:
        """The items of all tables together."""
        return sum(table.items for table in self.tables.values())

    @property
    def digest(self) -> str:
        """SHA-256 in hex: names the export by its content."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def to_bytes(self) -> bytes:
        """The content of manifest.json."""
        tables = {name: table._asdict() for name, table in self.tables.items()}
        limited = {} if self.plans is None else {"plans": self.plans}
        content = {"format": FORMAT, **limited, "tables": tables, "complete": True}
        return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """The manifest of an export; FileMissingError when there is none, FileStoreError when it is not one of ours."""
        path = folder / MANIFEST
        try:
            content = exact_json(read_plain(path))
        except (FileNotFoundError, NotADirectoryError):
            raise FileMissingError(f"{folder} holds no complete export: it has no {MANIFEST}") from None
        except ValueError as error:
            raise FileStoreError(f"{path} is not JSON ({str(error)[:200]}); export again") from None
        match content:
            case {"format": int(number), **rest} if number == FORMAT and rest.get("complete") is True:
                try:
                    return cls(*_manifest_fields(content))
                except (KeyError, TypeError, AttributeError, UnicodeEncodeError):
                    pass
            case {"format": int(number)} if number != FORMAT:
                raise FileStoreError(f"{path} is of format {shown(number)}; this version reads format {FORMAT}")
        raise FileStoreError(f"{path} is not the manifest of a complete export; export again")


def _manifest_fields(content: dict[str, Any]) -> tuple[dict[str, TableDigest], tuple[str, ...] | None]:
    tables = {name: TableDigest(**table) for name, table in content["tables"].items()}
    if not all(type(table.items) is int and isinstance(table.sha256, str) for table in tables.values()):
        raise TypeError
    plans = content.get("plans")
    for text in (*tables, *(plans or ())):
        text.encode()  # half a character is no text
    return tables, None if plans is None else tuple(plans)


def items_path(folder: Path, table: str) -> Path:
    """The file of one table."""
    return folder / f"{table}.jsonl"


class Record(NamedTuple):
    """One line of an export."""

    key: Key
    item: Item
    line_bytes: int


def read_items(folder: Path, table: str, expected: TableDigest, *, trusting: bool = False) -> Iterator[Record]:
    """The items of one table in order, each line checked as it is read, the whole file at the end.

    `trusting` reads a file again that was checked before: only its digest is compared.

    ItemDecodeError names file and line of what is not as it was exported; FileStoreError the file, when its lines
    are well-formed and yet not those that the manifest tells of; FileMissingError when it is not there.
    """
    path = items_path(folder, table)
    digest, count, previous = hashlib.sha256(), 0, Key("", "")
    try:
        file = open_plain(path)
    except FileNotFoundError:
        raise FileMissingError(f"{path} is missing, and {MANIFEST} tells of it") from None
    with file:
        while line := file.readline(MAX_LINE_BYTES):
            digest.update(line)
            count += 1
            item = _trusted(line, path) if trusting else _item_in(line, table, f"{path} line {count}")
            key = key_of(item)
            if key <= previous:
                reason = f"does not come after the line before: {previous}"
                raise ItemDecodeError(f"{path} line {count}", reason, pk=key.pk, sk=key.sk)
            previous = key
            yield Record(key, item, len(line))
    if (count, digest.hexdigest()) != expected:
        raise FileStoreError(
            f"{path} was changed since it was exported: it has {count} items (of {expected.items}) or others than "
            f"{MANIFEST} tells of; restore it or export again"
        )


def items_at(path: Path, offset: int, count: int) -> Iterator[Item]:
    """So many items from a place in a file that was checked before; FileStoreError when it was changed since."""
    with open_plain(path) as file:
        file.seek(offset)
        for _ in range(count):
            yield _trusted(file.readline(MAX_LINE_BYTES), path)


def _trusted(line: bytes, path: Path) -> Item:
    try:
        return {name: _read_back(value) for name, value in json.loads(line).items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise FileStoreError(f"{path} was changed while it was read; import again") from None


def _item_in(line: bytes, table: str, where: str) -> Item:
    if not line.endswith(b"\n"):
        raise ItemDecodeError(where, "is cut off" if len(line) < MAX_LINE_BYTES else "is longer than any item")
    try:
        item = item_from_json(table, json.loads(line))
        if line_of(item) + b"\n" != line:
            raise ValueError("is not spelled as an export spells it")
    except UnicodeDecodeError:
        reason = "is not UTF-8"
    except json.JSONDecodeError as error:
        reason = f"is not JSON: {error.msg}"
    except RecursionError:
        reason = "is nested too deep"
    except (ValueError, InvalidWriteError, InvalidKeyError, ItemTooLargeError) as error:
        reason = str(error)
    else:
        return item
    raise ItemDecodeError(where, f"{reason}; restore the file or export again")


KEPT_BYTES = 64 * 1024
"""Of a partition that is kept in memory; a larger one is read from its file each time."""


@dataclass(frozen=True)
class ExportedPartition:
    """The items of one partition of a table, in order, as they lie in the file."""

    table: str
    pk: str
    count: int
    path: Path
    offset: int
    kept: tuple[Item, ...] | None

    def __iter__(self) -> Iterator[Item]:
        return items_at(self.path, self.offset, self.count) if self.kept is None else iter(self.kept)


def exported_partitions(folder: Path, table: str, digest: TableDigest) -> Iterator[ExportedPartition]:
    """The partitions of one table's file, which was checked before; raises what `read_items` raises."""
    path, offset = items_path(folder, table), 0
    for pk, records in groupby(read_items(folder, table, digest, trusting=True), key=lambda record: record.key.pk):
        start, count, kept = offset, 0, list[Item]()
        for record in records:
            offset += record.line_bytes
            count += 1
            if offset - start <= KEPT_BYTES:
                kept.append(record.item)
        yield ExportedPartition(table, pk, count, path, start, tuple(kept) if len(kept) == count else None)


_IN_USE = "{} is in use by another export or import"


def make_folder(folder: Path) -> None:
    """A folder for what has bank account numbers in it; FileStoreError when it cannot be."""
    try:
        disk.make_folder(folder)
    except (FileExistsError, NotADirectoryError):
        raise FileStoreError(f"{folder} is not a folder") from None
    except OSError as error:
        raise FileStoreError(f"{folder} cannot be made: {error.strerror}") from error


@contextmanager
def held(folder: Path, what: str) -> Iterator[None]:
    """Keep a folder for this process: the lock ends with the process, however it dies.

    FileStoreError when another process has it, and instead of an OSError of the files in it.
    """
    if not folder.exists():
        raise FileMissingError(f"{folder} does not exist: nothing to {what}")
    try:
        with _alone(folder):
            yield
    except Timeout:
        raise FileStoreError(_IN_USE.format(folder)) from None
    except BrokenPipeError:  # of whoever reads our progress
        raise
    except OSError as error:
        raise FileStoreError(f"{error.filename or folder}: cannot {what}: {error.strerror}") from error


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """The lock of the folder itself, so that no file is left; on Windows, which has none, of a file `.lock` in it."""
    if not POSIX:
        with FileLock(folder / ".lock", timeout=0):
            yield
        return
    descriptor = os.open(folder, FOLDER)
    try:
        try:
            lock(descriptor, wait=False)
        except BlockingIOError:
            raise FileStoreError(_IN_USE.format(folder)) from None
        yield
    finally:
        os.close(descriptor)
