"""What a call goes through: the engine, the cache, and the unit of work that it is a part of.

A repository has `Sessions`. Its public methods ask them once for the Session of the call, and hand that one on: what is
read and written through can be seen in each call, and does not depend on the thread or the context that it is made in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import Context, copy_context
from copy import copy
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from pydantic import TypeAdapter, ValidationError

from bluestar_store.cache.control import NullCache, consistent
from bluestar_store.checks.meaning import ALL, Checks
from bluestar_store.clock import Clock, SystemClock, sleep_of
from bluestar_store.errors import InvalidEntityError
from bluestar_store.keys import Key
from bluestar_store.lazy import cached_property
from bluestar_store.mapping.mapper import Mapper, reason_of
from bluestar_store.mapping.values import Actor
from bluestar_store.models.tables import Tables
from bluestar_store.protocols import (
    AttributeValue,
    Cache,
    CacheKey,
    Engine,
    Item,
    Place,
    TableSpec,
    pages,
    reads_places,
    settles_at_once,
)
from bluestar_store.repositories.digests import Digests
from bluestar_store.repositories.revisions import Revisions
from bluestar_store.repositories.transaction import StagedWrites, Transaction
from bluestar_store.threads import Threads

if TYPE_CHECKING:
    from bluestar_store.encryption.sealing import Sealing

T = TypeVar("T")
U = TypeVar("U")
_ACTOR = TypeAdapter[str](Actor)
_UNCACHED = NullCache()
SessionStep: TypeAlias = "Callable[[Session, StagedWrites], None]"


class StoreParts:
    """What all sessions of a Store have in common."""

    def __init__(
        self,
        engine: Engine,
        tables: Tables,
        cache: Cache,
        actor: str | None = None,
        *,
        indexes_complete: bool = False,
        index_recheck: timedelta = timedelta(hours=24),
        plain_pins: bool = False,
        clock: Clock | None = None,
        records: bool = True,
        sealing: Sealing | None = None,
        checks: Checks = ALL,
    ) -> None:
        """`index_recheck`: how long the mark of a table is trusted, see `index_marks`.

        `records`: whether a change of a rule leaves an entry in its trail. `sealing`: what the engine encrypts with.
        `checks`: which checks of meaning a write has to pass.
        """
        self.committed, self.tables, self.actor, self.records = engine, tables, actor, records
        self.table = tables.name
        self.indexes_complete, self.index_recheck = indexes_complete, index_recheck
        clock = clock or SystemClock()
        self.now, self.monotonic = clock.now, clock.monotonic
        self.sleep = sleep_of(clock)
        self.revisions = Revisions(tables, self.now, self.monotonic)
        self.digests = Digests(lambda: self.committed, tables, plain_pins=plain_pins, sealing=sealing)
        self.sealing, self.checks = sealing, checks
        self._cache = consistent(cache)
        self._reads_places = reads_places(engine)
        self._threads = Threads(engine.parallel_calls, "bluestar-read")

    committed: Engine
    """The engine itself, whatever unit of work is open: for bookkeeping that is no part of one."""

    @cached_property
    def specs(self) -> tuple[TableSpec, ...]:
        """The tables."""
        return self.tables.specs()

    def changed_lately(self, cache_key: CacheKey) -> bool:
        """Whether this process made or heard of a write of it that queries may not show yet."""
        return not settles_at_once(self.committed) and self._cache.changed_lately(cache_key)

    def aside(self, call: Callable[[], object]) -> None:
        """Have a call made outside of any unit of work, without waiting for it where it is a round trip."""

        def run() -> None:
            Context().run(call)

        if self.committed.parallel_calls < 2:
            run()
        else:
            self._threads.submit(run)


class Session(StoreParts):
    """The way to the items for one call; as a part of `transaction`, if there is one."""

    def __init__(
        self, parts: StoreParts, transaction: Transaction | None = None, *, records: bool | None = None
    ) -> None:
        vars(self).update(vars(parts))
        self.transaction = transaction
        self.records = parts.records if records is None else records

    @property
    def engine(self) -> Engine:
        """Where the items live; for a part of a unit of work, with its own writes laid over them.

        Raises InvalidWriteError when that unit is over.
        """
        return self.committed if self.transaction is None else self.transaction.engine

    @property
    def unit(self) -> Transaction:
        """The unit of work that this is a part of: there is one, of whoever was given this by `Sessions.unit`."""
        if self.transaction is None:
            raise LookupError("no unit of work is open here")
        return self.transaction

    def cache_of(self, mapper: Mapper[Any]) -> Cache:
        """What a kind's reads go through: nothing, for a kind that is not cached.

        A unit of work reads past the cache, and nothing of its own gets into it before the commit.
        """
        return self._cache if mapper.cached and self.transaction is None else _UNCACHED

    def acting_as(self, actor: str | None) -> Session:
        """The same way, for one call's writes: what goes through it is said to be this actor's; None: the setting's.

        Raises InvalidEntityError for what the setting could not be.
        """
        if actor is None:
            return self
        try:
            _ACTOR.validate_python(actor, strict=True)
        except ValidationError as error:
            raise InvalidEntityError(f"actor {reason_of(error.errors()[0])}") from None
        other = copy(self)
        other.actor = actor
        return other

    def run_step(self, step: SessionStep) -> None:
        """Run a step of the unit of work, which reads through this session: see `Transaction.run_step`."""
        self.unit.run_step(partial(step, self))

    def needs_isolated_read(self) -> bool:
        """Whether a query in a step of a unit of work has to be checked by an isolated read now.

        If not, the unit notes that the step read by a query, and runs it again, checked, before it raises an error.
        """
        if self.transaction is None or settles_at_once(self.committed):
            return False
        self.transaction.engine.may_be_stale = True
        return self.transaction.engine.is_rerun

    def sealed(
        self, mapper: Mapper[Any], key: Key, values: Mapping[str, AttributeValue]
    ) -> Mapping[str, AttributeValue]:
        """The attributes of an item, those that are to be encrypted with their ciphertext: what is written is known.

        Raises ConfigurationError for a key that cannot be used, and EngineError.
        """
        return values if self.sealing is None else self.sealing.sealed(self.table(mapper), key, values, self.engine)

    def keyed_digest(self, mapper: Mapper[Any], key: Key, name: str, digest: str) -> str | None:
        """The digest of an attribute that is encrypted, keyed by its plan's key; None for one that is not."""
        if self.sealing is None:
            return None
        return self.sealing.keyed_digest(self.table(mapper), key, name, digest, self.engine)

    def partition(self, mapper: Mapper[Any], pk: str) -> list[Item]:
        """All of a kind's items in a partition, in the order of their raw sort keys, read consistently."""
        return list(self.partition_items(self.table(mapper), pk, mapper.keys.sort.prefix))

    def partition_items(self, table: str, pk: str, prefix: str) -> Iterator[Item]:
        """All items of a partition whose sort keys begin with the prefix, page after page, read consistently."""
        for items in pages(lambda cursor: self.engine.query(table, pk, prefix, cursor=cursor, consistent=True)):
            yield from items

    def reads(self, places: Sequence[Place]) -> list[Callable[[], dict[Place, Item]]]:
        """Independent reads, for `together`, of items of any tables, each consistent; just one where the engine can."""
        engine = self.engine
        if self._reads_places and places:
            return [partial(engine.get_places, places)]  # type: ignore[attr-defined]  # a unit of work's engine has it, too

        def read(table: str, key: Key) -> dict[Place, Item]:
            found = engine.get(table, [key], consistent=True)
            return {(table, key): found[key]} if key in found else {}

        return [partial(read, *place) for place in places]

    def together(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """The answers of independent reads, made at once where that saves time; the first error is raised.

        A call must not use `together` itself: the threads are few, and it would wait for itself.
        """
        if len(calls) < 2 or self.committed.parallel_calls < 2:
            return [call() for call in calls]
        # In a copy of the context each, for those who trace calls by it.
        futures = [self._threads.submit(partial(copy_context().run, call)) for call in calls[1:]]
        try:
            return [calls[0](), *(future.result() for future in futures)]
        finally:
            for future in futures:
                future.cancel()

    def beside(self, call: Callable[[], T], others: Sequence[Callable[[], U]]) -> tuple[T, list[U]]:
        """The same for one call and others of another type; its error is the first."""
        answers: list[Any] = self.together([call, *others])
        return answers[0], answers[1:]
