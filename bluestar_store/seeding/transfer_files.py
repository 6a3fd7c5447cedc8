"""The files of an export: one line an item, and a manifest that says what belongs to it.

The same items give the same bytes whatever engine, layout or order of scanning they come from: attribute names, sets
and lines are sorted, numbers have the one spelling, binary is base64 as in DynamoDB's own JSON.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias

from bluestar_store.engines.checks import MAX_ITEM_BYTES, item_bytes
from bluestar_store.engines.table_files import item_from_json, sync_folder
from bluestar_store.errors import (
    FileMissingError,
    FileStoreError,
    InvalidKeyError,
    InvalidWriteError,
    ItemDecodeError,
    ItemTooLargeError,
)
from bluestar_store.keys import MAX_SK_BYTES, Key
from bluestar_store.models.kind import Kind
from bluestar_store.models.tables import KINDS, Tables
from bluestar_store.models.values import number_text
from bluestar_store.protocols import OWN_PREFIX, AttributeValue, Engine, Item, key_of
from bluestar_store.settings import TableLayout

FORMAT = 1
MANIFEST = "manifest.json"
REST = "store"
"""The file for items of layout `single` that tell no table: another program wrote them."""
MARK = f"{OWN_PREFIX}table"
"""In layout `single`: which table an item belongs to whose key does not say it."""
MAX_LINE_BYTES = 4 * 1024 * 1024
"""More than an item of 400 KB takes in JSON, where a byte may become six."""

Progress: TypeAlias = Callable[[str, int, int | None], None]
"""Told again and again: what is being done ("export", "check", ...), how many items are done, of how many if known."""

_ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"))
_NORMAL_NUMBER = re.compile(r"0|-?[1-9][0-9]*|-?(?:0|[1-9][0-9]*)\.[0-9]*[1-9]")


def line_of(item: Mapping[str, AttributeValue]) -> bytes:
    """The item's one line, without its end. Two items are the same when their lines are."""
    plain = {name: _plain(value) for name, value in item.items()}
    return _ENCODER.encode(plain).encode()


def _plain(value: AttributeValue) -> AttributeValue:
    ((kind, content),) = value.items()
    match kind:
        case "N":
            return {"N": _number(content)}
        case "B":
            return {"B": _base64(content)}
        case "SS":
            return {"SS": sorted(content)}
        case "NS":
            return {"NS": sorted(map(_number, content))}
        case "BS":
            return {"BS": [_base64(member) for member in sorted(content)]}
        case "L":
            return {"L": [_plain(member) for member in content]}
        case "M":
            return {"M": {name: _plain(member) for name, member in content.items()}}
    return value


def _wire(value: Any) -> AttributeValue:
    """What `_plain` made plain."""
    ((kind, content),) = value.items()
    match kind:
        case "B":
            return {"B": base64.b64decode(content)}
        case "BS":
            return {"BS": [base64.b64decode(member) for member in content]}
        case "L":
            return {"L": [_wire(member) for member in content]}
        case "M":
            return {"M": {name: _wire(member) for name, member in content.items()}}
    return {kind: content}


def _number(text: str) -> str:
    return text if _NORMAL_NUMBER.fullmatch(text) else number_text(text)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


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
            content = json.loads(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            raise FileMissingError(f"{folder} holds no complete export: it has no {MANIFEST}") from None
        except (ValueError, RecursionError):
            raise FileStoreError(f"{path} is not JSON; export again") from None
        match content:
            case {"format": int(number), **rest} if number == FORMAT and rest.get("complete") is True:
                try:
                    return cls(*_manifest_fields(content))
                except (KeyError, TypeError, AttributeError):
                    pass
            case {"format": int(number)} if number != FORMAT:
                raise FileStoreError(f"{path} is of format {number}; this version reads format {FORMAT}")
        raise FileStoreError(f"{path} is not the manifest of a complete export; export again")


def _manifest_fields(content: dict[str, Any]) -> tuple[dict[str, TableDigest], tuple[str, ...] | None]:
    tables = {name: TableDigest(**table) for name, table in content["tables"].items()}
    if not all(type(table.items) is int and isinstance(table.sha256, str) for table in tables.values()):
        raise TypeError
    plans = content.get("plans")
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
        file = path.open("rb")
    except FileNotFoundError:
        raise FileMissingError(f"{path} is missing, and {MANIFEST} tells of it") from None
    with file:
        while line := file.readline(MAX_LINE_BYTES):
            digest.update(line)
            count += 1
            item = _trusted(line, path) if trusting else _item_in(line, table, f"{path} line {count}")
            key = key_of(item)
            if key <= previous:
                reason = f"does not come after the line before: {key}"
                raise ItemDecodeError(f"{path} line {count}", reason, pk=key.pk, sk=key.sk)
            previous = key
            yield Record(key, item, len(line))
    if (count, digest.hexdigest()) != expected:
        raise FileStoreError(
            f"{path} was changed since it was exported: it has {count} items (of {expected.items}) or others than "
            f"{MANIFEST} tells of; restore it or export again"
        )


def _trusted(line: bytes, path: Path) -> Item:
    try:
        return {name: _wire(value) for name, value in json.loads(line).items()}
    except (ValueError, TypeError, AttributeError):
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


def write_whole(path: Path, content: bytes) -> None:
    """Replace a small file, whole or not at all."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """A folder for what has bank account numbers in it; FileStoreError when it cannot be."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise FileStoreError(f"{folder} is not a folder") from None
    except OSError as error:
        raise FileStoreError(f"{folder} cannot be made: {error.strerror}") from error


@contextmanager
def held(folder: Path, what: str) -> Iterator[None]:
    """Keep a folder for this process: the kernel lets go of it, whenever the process dies, and no file is left.

    FileStoreError when another process has it, and instead of an OSError of the files in it.
    """
    if not folder.exists():
        raise FileMissingError(f"{folder} does not exist: nothing to {what}")
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            _lock(descriptor, folder)
            yield
        finally:
            os.close(descriptor)
    except BrokenPipeError:  # of whoever reads our progress
        raise
    except OSError as error:
        raise FileStoreError(f"{error.filename or folder}: cannot {what}: {error.strerror}") from error


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise FileStoreError(f"{folder} is in use by another export or import") from None


class Place(Protocol):
    """What a transfer needs of a Store."""

    @property
    def engine(self) -> Engine: ...
    @property
    def tables(self) -> Tables: ...


class Routes:
    """Which table an item belongs to, by its name without prefix, in the layout of a place.

    In `single`, an item whose key is no entity's carries the name of its table in `bs_table`; exports leave that away.
    """

    def __init__(self, tables: Tables, kinds: Iterable[Kind[Any]] = KINDS) -> None:
        self._kinds = tuple(kinds)
        self.single = tables.layout is TableLayout.SINGLE
        self._specs = {kind.table: tables.spec(kind) for kind in self._kinds}

    @property
    def names(self) -> tuple[str, ...]:
        """The tables of layout `eight`, in DESIGN's order."""
        return tuple(self._specs)

    @property
    def sources(self) -> Mapping[str, str | None]:
        """The tables on disk, each with the one table whose items it holds; None: with those of all tables."""
        return {spec.name: None if self.single else name for name, spec in self._specs.items()}

    def on_disk(self, table: str) -> str:
        """The name on disk of the table that holds the items of `table`."""
        spec = next(iter(self._specs.values())) if self.single else self._specs[table]
        return spec.name

    def identity(self, key: Key) -> tuple[Kind[Any] | None, Mapping[str, Any]]:
        """The kind that owns a key, and what the key says."""
        for kind in self._kinds:
            found = kind.keys.parse(key)
            if found is not None:
                return kind, found
        return None, {}

    def outgoing(self, item: Item) -> tuple[str, Item]:
        """The table of an item that lies in layout `single`, and the item as it lies in that table."""
        kind, _ = self.identity(key_of(item))
        if kind is not None:
            return kind.table, item
        named = item.get(MARK, {}).get("S")
        if named not in self._specs:
            return REST, item
        return named, {name: value for name, value in item.items() if name != MARK}

    def belongs(self, table: str, item: Item) -> bool:
        """Whether an item found where the items of `table` lie is one of them."""
        return not self.single or self.outgoing(item)[0] == table

    def incoming(self, table: str, key: Key, item: Item) -> Item:
        """The item as it has to lie at this place; ValueError with the reason why it cannot."""
        if not self.single:
            if table not in self._specs:
                raise ValueError("tells no table that it could go to in layout eight")
            spec = self._specs[table]
        else:
            spec = next(iter(self._specs.values()))
            kind, _ = self.identity(key)
            if kind is None and table != REST:
                if MARK in item:
                    raise ValueError(f"has an attribute {MARK}, which layout single needs for itself")
                item = item | {MARK: {"S": table}}
                if item_bytes(item) > MAX_ITEM_BYTES:
                    raise ValueError("is too large for the name of its table, which layout single adds")
            elif kind is not None and table not in (REST, kind.table):
                raise ValueError(f"would become a {kind.name} of {kind.table} in layout single, though in {table}")
        for index in spec.indexes:
            for name in (index.partition_attribute, index.sort_attribute):
                if name in item and not 0 < len(item[name].get("S", "").encode()) <= MAX_SK_BYTES:
                    raise ValueError(f"has an attribute {name} that is no key of the index {index.name}")
        return item
