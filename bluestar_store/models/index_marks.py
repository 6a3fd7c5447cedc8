"""The mark of a table: since when all of its items carry the library's index attributes, and how far a recheck is.

It is the library's own bookkeeping and no entity: an item among those of processing-metadata, one for each table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bluestar_store.keys import Key
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.mapping.values import utc_from_text, utc_text, version_of
from bluestar_store.models.batches import BATCH_STATE
from bluestar_store.models.tables import Tables
from bluestar_store.protocols import OWN_PREFIX, VERSION, Item, key_of
from bluestar_store.settings import TableLayout

KEPT_WITH = BATCH_STATE
"""The kind in whose table they lie."""
PARTITION = "INDEXES"
"""The partition of all marks: one query reads them."""
TABLES = "TABLE#"
"""What their sort keys begin with."""
HOME = f"{OWN_PREFIX}table"
"""In layout `single`, the attribute that tells which table an item belongs to whose key is no kind's."""


@dataclass(frozen=True)
class IndexMark:
    """Of one table, by its name on disk: a mark that was copied to tables of other names says nothing of them.

    `checked`: for each kind's index (see `index_label`), every item that was written before this time carries the
    attributes, or got them. `pages` are those of the last pass over the table, `due` is when the next page of a recheck
    may be read. Of the pass that is under way: where it goes on, when it began, what it covers and its pages so far.
    """

    table: str
    checked: Mapping[str, datetime]
    due: datetime
    pages: int = 1
    cursor: str | None = None
    began: datetime | None = None
    covers: frozenset[str] = frozenset()
    pages_read: int = 0
    version: int = 0


def index_label(mapper: Mapper[Any], index: str) -> str:
    """What a mark calls the index of a kind."""
    return f"{mapper.name}/{index}"


def labels(kinds: Iterable[Mapper[Any]]) -> frozenset[str]:
    """What a mark calls all indexes of these kinds."""
    return frozenset(index_label(mapper, index) for mapper in kinds for index in mapper.index_names)


def mark_key(table: str) -> Key:
    """Where the mark of a table lies, among those of `KEPT_WITH`."""
    return Key(PARTITION, TABLES + table)


def is_mark(key: Key) -> bool:
    """Whether a key is a mark's."""
    return key.pk == PARTITION


def mark_item(tables: Tables, mark: IndexMark, version: int) -> Item:
    """The item of a mark. Raises nothing."""
    key = mark_key(mark.table)
    item: Item = {
        "PK": {"S": key.pk},
        "SK": {"S": key.sk},
        VERSION: {"N": str(version)},
        "checked": {"M": {label: {"S": utc_text(at)} for label, at in sorted(mark.checked.items())}},
        "due": {"S": utc_text(mark.due)},
        "pages": {"N": str(mark.pages)},
    }
    if mark.began is not None:
        item |= {"began": {"S": utc_text(mark.began)}, "pages_read": {"N": str(mark.pages_read)}}
        item |= {"covers": {"SS": sorted(mark.covers)}} if mark.covers else {}
        item |= {"cursor": {"S": mark.cursor}} if mark.cursor is not None else {}
    if tables.layout is TableLayout.SINGLE:
        item[HOME] = {"S": KEPT_WITH.table}  # what exports, also of an older release, know it by
    return item


def mark_of(item: Item) -> IndexMark | None:
    """The mark in an item; None for one that is damaged, as if it were not there."""
    try:
        began = item.get("began")
        return IndexMark(
            table=key_of(item).sk.removeprefix(TABLES),
            checked={label: utc_from_text(at["S"]) for label, at in item["checked"]["M"].items()},
            due=utc_from_text(item["due"]["S"]),
            pages=max(1, int(item["pages"]["N"])),
            cursor=item["cursor"]["S"] if "cursor" in item else None,
            began=None if began is None else utc_from_text(began["S"]),
            covers=frozenset(item["covers"]["SS"]) if "covers" in item else frozenset(),
            pages_read=int(item.get("pages_read", {"N": "0"})["N"]),
            version=version_of(item),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
