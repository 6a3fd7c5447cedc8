"""The seams: what an engine and a cache are asked, and the values that cross.

Items cross in DynamoDB's own wire form, `{"PK": {"S": "CLIENT#ACME"}, "max_pct": {"N": "6"}}`, binary as bytes. What
an engine returns belongs to the caller, and what it was given is never kept: both sides may change their objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeAlias, TypeGuard

from bluestar_store.errors import BlueStarError
from bluestar_store.keys import Key
from bluestar_store.lazy import cached_property

AttributeValue: TypeAlias = dict[str, Any]
"""A value in DynamoDB's wire form: `{"N": "6"}`."""
Item: TypeAlias = dict[str, AttributeValue]
"""An item in DynamoDB's wire form, its key included."""
SETTLING_SECONDS = 10.0
"""How long after its commit reads of several items may see a transaction in part, on DynamoDB: AWS says "soon", and it
is mostly milliseconds."""
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


class Engine(Protocol):
    """Where items live. All calls may come from many threads at once.

    Every call raises ConfigurationError for a table or index that does not exist, and EngineError's subclasses.
    """

    @property
    def parallel_calls(self) -> int:
        """How many calls are worth making at once: 1 where a call is no round trip."""

    @property
    def location(self) -> str:
        """Where the items are, in words for a person; shows no secret."""

    @property
    def data_id(self) -> str:
        """Tells these items from other engines' for a cache that processes share; letters, digits and '-' only.

        What can only be found out by asking is said by `TellsTables`.
        """

    def get(self, table: str, keys: Iterable[Key], *, consistent: bool = False) -> dict[Key, Item]:
        """The items found, in the order asked, each once; any number of keys. A missing key is left out."""

    def get_isolated(self, table: str, keys: Iterable[Key]) -> dict[Key, Item]:
        """Like `get`, all items as of one moment: no transaction is seen in part. At most 100 keys (AWS limit)."""

    def query(
        self,
        table: str,
        pk: str,
        sk_prefix: str = "",
        *,
        index: str | None = None,
        newest_first: bool = False,
        limit: int | None = None,
        cursor: str | None = None,
        consistent: bool = False,
    ) -> Page:
        """One page of a partition in sort key order (by UTF-8 bytes), `newest_first` from the end.

        With `index`, `pk` and `sk_prefix` are values of its two attributes and the items carry keys only. A page
        ends after `limit` items or 1 MB. A cursor of another query is refused with InvalidKeyError.
        """

    def scan(
        self,
        table: str,
        *,
        sk_prefix: str = "",
        lacking: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        consistent: bool = False,
        segment: Segment | None = None,
    ) -> Page:
        """One page of the whole table, or of one segment of it, in no order that means anything.

        `sk_prefix` and `lacking` (an attribute the items must not have) filter what is returned, not what is read:
        a page may be empty and still have a cursor. `limit` bounds the items read.
        """

    def write(self, *writes: Write) -> None:
        """All of the writes, or none: at most 100, each item once, 4 MB together (limits of a DynamoDB transaction).

        Raises AlreadyExistsError or VersionConflictError for the first expectation that does not hold,
        TransactionConflictError when other writers kept interfering, InvalidWriteError and ItemTooLargeError before
        anything is sent. Retrying inside is safe: a write whose reply was lost is applied once and succeeds.
        """

    def put_many(self, table: str, items: Iterable[Item], *, progress: Callable[[int], None] | None = None) -> int:
        """Write items verbatim and unconditionally, for empty targets and exact imports; returns how many.

        Safe to repeat. Of two items with one key the later one stays. The items are taken one after the other, in the
        caller's thread, and a bounded number ahead of what is written; whatever is raised, by them too, nothing is
        being written any more when it arrives. Raises UnprocessedItemsError with all that is left over, in the order
        given; any other error tells nothing of what was written: repeat all. `progress` is told, in the caller's
        thread, of each bulk's size.
        """

    def create_tables(self, specs: Sequence[TableSpec], *, upgrade: bool = False) -> list[str]:
        """Make what does not exist and wait until it is active; the names made. `upgrade` adds missing indexes."""

    def describe(self, spec: TableSpec) -> TableStatus:
        """The table as it is now."""

    def delete_tables(self, names: Sequence[str]) -> None:
        """Delete the tables that exist, and wait until they are gone."""

    def close(self) -> None:
        """Let go of connections, files and threads; may be called twice."""


class TellsTables(Protocol):
    """What an engine can besides whose `data_id` is alike for different data."""

    def table_id(self, table: str) -> str:
        """Tells this very table from all others, also from one that is made under its name later. May ask.

        Raises EngineError, and TableMissingError when there is none.
        """


class ReadsPlaces(Engine, Protocol):
    """What an engine can besides for which items of several tables are one round trip."""

    def get_places(self, places: Sequence[Place]) -> dict[Place, Item]:
        """The items found, each read consistently as by a `get` of its own, not all as of one moment; 100 at most."""


def reads_places(engine: Engine) -> TypeGuard[ReadsPlaces]:
    """Whether its class has `get_places`: what only passes on what another engine has may not see such calls."""
    return hasattr(type(engine), "get_places")


CacheKey: TypeAlias = tuple[Any, ...]
"""What a cache keeps as one: an item, `("calculation-rule", "ACME", "match")`, or all items of a kind in a partition,
`("pipeline-step*", "ACME", "Weekly")`. The kind's name, and the fields of the identity."""


class Missing(Enum):
    """The type of MISSING: what a cache has nothing for, not even an absence."""

    MISSING = 0


MISSING: Final = Missing.MISSING
"""What a cache answers for what it does not hold."""


@dataclass(frozen=True)
class Stale:
    """A value that was kept past its time, because the engine failed with `error`."""

    value: Any
    error: BlueStarError


def settles_at_once(engine: Engine) -> bool:
    """Whether every read of an engine sees each transaction whole: its class has to say so (`settles_at_once`).

    What only passes on what another engine has need not see what that one sees.
    """
    return hasattr(type(engine), "settles_at_once") and bool(getattr(engine, "settles_at_once"))  # noqa: B009


class Source(Protocol):
    """What a cache loads one kind of cache keys from. A value that is an error is passed on and never stored."""

    @property
    def sensitive(self) -> bool:
        """Whether the values neither leave the process nor are taken from outside it."""

    def settles(self, value: Any) -> bool:
        """Whether this value of one key makes those of the keys after it unnecessary."""

    def load(self, cache_keys: Sequence[CacheKey], /) -> Mapping[CacheKey, Any]:
        """The value of every key, read consistently; an absence has a value that is false.

        Keys after one whose value settles the question may be left out.
        """

    def encode(self, cache_key: CacheKey, value: Any, /) -> bytes | None:
        """The value as it is stored outside the process; None for one that is not to leave it."""

    def decode(self, cache_key: CacheKey, data: bytes, /) -> Any:
        """The value again; ValueError or BlueStarError for what `encode` of this version did not make for this key."""

    def weigh(self, value: Any) -> int:
        """About how many bytes the value takes in the process."""


class Cache(Protocol):
    """What lies between repositories and the engine."""

    def peek(self, cache_key: CacheKey, /) -> Any:
        """The value if it is here, in the process, and not due; else MISSING. None is a value: an absence."""

    def fetch(self, cache_keys: Sequence[CacheKey], source: Source, /, *, fresh: bool) -> Mapping[CacheKey, Any]:
        """The value of every key, or a Stale one; what is missing (when `fresh`: all) is loaded from the source.

        The values were current at one moment. Keys after one whose value settles the question may be left out.
        """

    def writing(self, cache_keys: Iterable[CacheKey], /) -> AbstractContextManager[None]:
        """Around a write that changes these keys, whether the write succeeds or its outcome is unknown."""

    def close(self) -> None:
        """End what runs in the background; may be called twice."""


class Heirs(Protocol):
    """Keeps what is made for one identity of another's value: GLOBAL's rule as a plan inherits it."""

    def get(self, own: CacheKey, /) -> tuple[Any, Any, Any] | None:
        """The value that it was made of, anything, and what was made."""

    def make(self, own: CacheKey, value: Any, /) -> Any:
        """Make it, and keep it with the value."""


class ConsistentCache(Cache, Protocol):
    """A cache that answers for several keys at one moment without a load, and knows of recent writes.

    For speed alone: `cache.null.consistent` gives any Cache these methods.
    """

    def peek_first(self, kind: CacheKey, own: CacheKey, other: CacheKey, heirs: Heirs, /) -> Any:
        """The value of the key `kind + own`; if that is an absence, what is made for `own` of `kind + other`'s value.

        None when both are absences; MISSING when one that is needed is not here. The two were current at one moment.
        """

    def peek_all(self, cache_keys: Sequence[CacheKey], settles: Callable[[Any], bool], /) -> list[Any] | None:
        """The values of the keys, up to the first that `settles`, if `peek` has them all; else None.

        They were current at one moment.
        """

    def changed_lately(self, cache_key: CacheKey, /) -> bool:
        """Whether a write of the key, made or heard of here, was over less than SETTLING_SECONDS ago."""


def scan_pages(engine: Engine, table: str, *, sk_prefix: str = "", lacking: str | None = None) -> Iterator[list[Item]]:
    """A whole table, page after page, read consistently; filtered as `Engine.scan` says."""
    return pages(
        lambda cursor: engine.scan(table, sk_prefix=sk_prefix, lacking=lacking, cursor=cursor, consistent=True)
    )
