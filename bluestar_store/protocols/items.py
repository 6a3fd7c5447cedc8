"""What crosses the seam of engines: items in wire form, their keys, writes with what they expect, pages, tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar

from bluestar_store.keys import Key
from bluestar_store.lazy import cached_property

T = TypeVar("T")

AttributeValue: TypeAlias = dict[str, Any]
"""A value in DynamoDB's wire form: `{"N": "6"}`."""
Item: TypeAlias = dict[str, AttributeValue]
"""An item in DynamoDB's wire form, its key included."""
Place: TypeAlias = tuple[str, Key]
"""A table, by its name on disk, and a key in it."""
VERSION = "version"
"""The attribute that counts the library's writes of an item, N from 1."""
ACTOR = "bs_actor"
"""The attribute that names who wrote the item last, as far as they said."""
OWN_PREFIX = "bs_"
"""Attributes that begin so are the library's own bookkeeping: index attributes, a pipeline's revision."""


class Expected(Enum):
    """What a write expects of the item, besides a version number."""

    ABSENT = "absent"
    ANY = "any"
    EXISTS = "exists"


ABSENT = Expected.ABSENT
"""There is no such item."""
ANY = Expected.ANY
"""Whatever is there, or nothing."""
EXISTS = Expected.EXISTS
"""There is such an item."""


@dataclass(frozen=True)
class AsRead:
    """The item has this version (0: none, or 0), and these attributes as they were read; None: it lacks this one.

    A version of None says only that there is an item: its `version` is no number, and one of the attributes.

    Values are equal as DynamoDB's `=` has it: of one type, numbers by value, sets in any order. `others` are looked at
    alike. They are those of other programs, which may change them at any time: whoever writes looks again then.
    """

    version: int | None
    attributes: Mapping[str, AttributeValue | None] = field(default_factory=dict, repr=False)
    others: Mapping[str, AttributeValue | None] = field(default_factory=dict, repr=False)

    @cached_property
    def all_attributes(self) -> dict[str, AttributeValue | None]:
        """Both."""
        return {**self.attributes, **self.others}


@dataclass(frozen=True)
class Fit:
    """What an attribute may be: one of the values, none of them, or a set that contains the first of them."""

    attribute: str
    how: Literal["one of", "none of", "contains"]
    values: tuple[AttributeValue, ...]
    required: bool = False
    """Whether the attribute, and so the item, has to be there."""


@dataclass(frozen=True)
class Fits:
    """There is no item, or each attribute of it that a test is of passes, or is missing and not required.

    For what depends on something of an item without having read it: not on its version, nor on the rest of it.
    """

    tests: tuple[Fit, ...]


Expectation: TypeAlias = Expected | int | AsRead | Fits
"""ABSENT, ANY, EXISTS, the version that the item must have (0: it exists and has none, or 0), all of it as read, or
some of it as it has to be."""


@dataclass(frozen=True)
class Put:
    """Replace the whole item, whatever attributes it had."""

    table: str
    item: Item = field(repr=False)  # may hold a bank account number
    expect: Expectation = ANY
    once: bool = False
    """Whether this item, as it is, is written by nobody else, and never changed nor deleted after: an audit entry. It
    tells whether its transaction was written."""

    @property
    def key(self) -> Key:
        """The item's."""
        return key_of(self.item)


@dataclass(frozen=True)
class Update:
    """Set and remove attributes and leave the others; with ANY or ABSENT an item that is not there is made."""

    table: str
    key: Key
    set: Mapping[str, AttributeValue] = field(default_factory=dict, repr=False)
    remove: frozenset[str] = frozenset()
    expect: Expectation = EXISTS


@dataclass(frozen=True)
class Delete:
    """Remove the item; with ANY it need not be there."""

    table: str
    key: Key
    expect: Expectation = ANY


@dataclass(frozen=True)
class Check:
    """Change nothing, but let the transaction fail when the item is not as expected."""

    table: str
    key: Key
    expect: Expectation


Write: TypeAlias = Put | Update | Delete | Check
"""One part of a transaction."""


def key_of(item: Mapping[str, AttributeValue]) -> Key:
    """The primary key of a wire item."""
    return Key(item["PK"]["S"], item["SK"]["S"])


class Page(NamedTuple):
    """Some items and where to go on; `cursor` is None at the end."""

    items: list[Item]
    cursor: str | None


class Segment(NamedTuple):
    """One part of a table, of so many, for scans by several at once. `number` counts from 0."""

    number: int
    of: int


def chunks(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """The values in lists of `size`, the last one shorter."""
    iterator = iter(values)
    while chunk := list(islice(iterator, size)):
        yield chunk


def pages(ask: Callable[[str | None], Page]) -> Iterator[list[Item]]:
    """The items of every page, page after page; `ask` is given the cursor of the one before, None at first."""
    cursor = None
    while True:
        page = ask(cursor)
        yield page.items
        if (cursor := page.cursor) is None:
            return


@dataclass(frozen=True)
class IndexSpec:
    """A sparse global secondary index on two string attributes of the library's own; projects keys only."""

    name: str
    partition_attribute: str
    sort_attribute: str


@dataclass(frozen=True)
class TableSpec:
    """A table as it has to be: string keys PK and SK, on-demand billing, these indexes."""

    name: str
    indexes: tuple[IndexSpec, ...] = ()


@dataclass(frozen=True)
class TableStatus:
    """A table as it is. `drift` says in words what is not as its TableSpec asks (a missing index is not drift).

    `state` is AWS's word: ACTIVE, CREATING, UPDATING, DELETING (it may not be read any more), or such as
    INACCESSIBLE_ENCRYPTION_CREDENTIALS. `indexes` are those that can be queried.
    """

    name: str
    exists: bool
    item_count: int = 0
    indexes: frozenset[str] = frozenset()
    drift: tuple[str, ...] = ()
    state: str = "ACTIVE"

    @property
    def is_usable(self) -> bool:
        """Whether its items can be read and written."""
        return self.exists and self.state in ("ACTIVE", "UPDATING")
