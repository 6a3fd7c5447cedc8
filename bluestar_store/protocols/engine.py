"""The seam of engines: what holds items, and what it can do besides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from inspect import signature
from typing import Any, Protocol, TypeAlias, TypeGuard

from bluestar_store.keys import Key
from bluestar_store.protocols.items import Item, Page, Place, Segment, TableSpec, TableStatus, Write, pages

SETTLING_SECONDS = 10.0
"""How long after its commit reads of several items may see a transaction in part, on DynamoDB: AWS says "soon", and it
is mostly milliseconds."""
BeforeAttempt: TypeAlias = Callable[[], None]
"""What a cache does before each attempt at a write: it renews its tombstones, should the write have waited for long."""


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


class AnnouncesAttempts(Engine, Protocol):
    """What an engine can besides that waits, for a lock or between attempts, before its writes are sent."""

    def write(self, *writes: Write, before_attempt: BeforeAttempt | None = None) -> None:
        """See Engine. Calls `before_attempt` before each attempt, after any wait for a lock."""


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
    """Whether its class has `get_places`: what only passes on what another engine has may not see such calls.

    Not a subclass that overrides `get` alone: its reads are to go by its own.
    """
    names = (vars(one).keys() & {"get", "get_places"} for one in type(engine).__mro__)
    return "get_places" in next(filter(None, names), ())


def write_announced(engine: Engine, writes: Iterable[Write], before_attempt: BeforeAttempt | None) -> None:
    """Write, and call `before_attempt` before each attempt; once, where the engine has no such parameter.

    Raises what `Engine.write` raises.
    """
    if before_attempt is None:
        engine.write(*writes)
    elif announces_attempts(engine):
        engine.write(*writes, before_attempt=before_attempt)
    else:
        before_attempt()
        engine.write(*writes)


def announces_attempts(engine: Engine) -> TypeGuard[AnnouncesAttempts]:
    """Whether its `write` has the parameter `before_attempt`."""
    return _has_before_attempt(getattr(engine.write, "__func__", engine.write))


@lru_cache(maxsize=64)
def _has_before_attempt(write: Callable[..., Any]) -> bool:
    return "before_attempt" in signature(write).parameters


def settles_at_once(engine: Engine) -> bool:
    """Whether every read of an engine sees each transaction whole: its class has to say so (`settles_at_once`).

    What only passes on what another engine has need not see what that one sees.
    """
    return hasattr(type(engine), "settles_at_once") and bool(getattr(engine, "settles_at_once"))  # noqa: B009


def scan_pages(engine: Engine, table: str, *, sk_prefix: str = "", lacking: str | None = None) -> Iterator[list[Item]]:
    """A whole table, page after page, read consistently; filtered as `Engine.scan` says."""
    return pages(
        lambda cursor: engine.scan(table, sk_prefix=sk_prefix, lacking=lacking, cursor=cursor, consistent=True)
    )
