"""What every repository of a Store shares: the engine, the table names, the cache, and a few threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import Context, ContextVar, Token, copy_context
from copy import copy
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from pydantic import TypeAdapter, ValidationError

from bluestar_store.cache.null import NullCache, consistent
from bluestar_store.checks.meaning import ALL, Checks
from bluestar_store.clock import Clock, SystemClock, sleep_of
from bluestar_store.errors import InvalidEntityError
from bluestar_store.forking import remember
from bluestar_store.keys import Key
from bluestar_store.lazy import cached_property
from bluestar_store.mapping.mapper import Mapper, reason_of
from bluestar_store.mapping.values import Actor
from bluestar_store.models.tables import Tables
from bluestar_store.protocols import (
    AttributeValue,
    Cache,
    CacheKey,
    Check,
    Engine,
    Item,
    Place,
    TableSpec,
    Write,
    pages,
    reads_places,
    settles_at_once,
)
from bluestar_store.repositories.digests import Digests
from bluestar_store.repositories.revisions import Revisions
from bluestar_store.repositories.transaction import Transaction
from bluestar_store.threads import Threads

if TYPE_CHECKING:
    from bluestar_store.encryption.sealing import Sealing

T = TypeVar("T")
U = TypeVar("U")
P = ParamSpec("P")
_ACTOR = TypeAdapter[str](Actor)


class WouldBlock(BaseException):
    """A call that may only look into this process needs more. Nobody but `Session.here`'s caller is to catch it."""


class _Looking(threading.local):
    """Of each thread; a ContextVar would do too, and take a third of a hit's time."""

    only_here = False


class Session:
    """The way to the items."""

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
        cache = consistent(cache)
        self._engine, self._cache, self.tables, self.actor = engine, cache, tables, actor
        self._unit: ContextVar[Transaction | None] = ContextVar("bluestar_unit_of_work", default=None)
        self._looking = _Looking()
        self._uncached = NullCache()
        self.peek, self.peek_first, self.peek_all = cache.peek, cache.peek_first, cache.peek_all
        self.unit_here = self._unit.get
        """What is in the process, when no unit of work is open here: asked before all else, so without a detour."""
        self.indexes_complete, self.index_recheck = indexes_complete, index_recheck
        clock = clock or SystemClock()
        self.now, self.monotonic = clock.now, clock.monotonic
        self.sleep = sleep_of(clock)
        self.revisions = Revisions(tables, self.now, self.monotonic)
        self.digests = Digests(lambda: self.committed, tables, plain_pins=plain_pins, sealing=sealing)
        self._records_changes, self.sealing, self.checks = records, sealing, checks
        self._records = ContextVar("bluestar_records_changes", default=records)
        self._reads_places = reads_places(engine)
        self._threads = Threads(engine.parallel_calls, "bluestar-read")
        remember(self)

    def forked(self) -> None:
        """In a forked child: what was open where its parent forked is the parent's to end.

        Contexts that were copied before the fork keep what was open: there the Transaction refuses every call.
        """
        self._unit.set(None)
        self._records.set(self._records_changes)
        self._looking.only_here = False

    @cached_property
    def _specs(self) -> tuple[TableSpec, ...]:
        return self.tables.specs()

    @property
    def engine(self) -> Engine:
        """Where the items live; within a unit of work, with its own writes laid over them."""
        self._check_not_only_here()
        unit = self._unit.get()
        return self._engine if unit is None else unit.engine

    @property
    def committed(self) -> Engine:
        """The engine itself, whatever unit of work is open here: for bookkeeping that is no part of one."""
        self._check_not_only_here()
        return self._engine

    @property
    def cache(self) -> Cache:
        """What is read through. A unit of work reads past it, and nothing of its own gets into it before the commit."""
        self._check_not_only_here()
        return self._cache if self._unit.get() is None else self._uncached

    def cache_of(self, mapper: Mapper[Any]) -> Cache:
        """What a kind's reads go through: nothing, for a kind that is not cached."""
        return self.cache if mapper.cached else self._uncached

    def changed_lately(self, unit: CacheKey) -> bool:
        """Whether this process made or heard of a write of it that queries may not show yet."""
        return not settles_at_once(self._engine) and self._cache.changed_lately(unit)

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

    def _check_not_only_here(self) -> None:
        if self._looking.only_here:
            raise WouldBlock

    def here(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What a read gives that finds all it needs in this process's cache, without a lock or a wait; else NotHere."""
        self._looking.only_here = True
        try:
            return call(*args, **kwargs)
        finally:
            self._looking.only_here = False

    def is_sure(self) -> bool:
        """Whether who looks by a query, in a step of a unit of work, is to make sure that it is not behind.

        Else the unit knows that it may be, and does the step again before it tells of a refusal.
        """
        unit = self._unit.get()
        if unit is None or settles_at_once(self._engine):
            return False
        unit.engine.unsure = True
        return unit.engine.again

    @contextmanager
    def unit(self) -> Iterator[Transaction]:
        """The unit of work that is open here, else one of its own, committed when the block ends well.

        The commit raises what `Engine.write` raises. A block that raises, and a commit that fails, leave nothing.
        """
        if (outer := self._unit.get()) is not None:
            yield outer
            return
        transaction, _ = self.begin()
        try:
            yield transaction
            self.commit(transaction)
        finally:
            self.end(transaction)

    def begin(self) -> tuple[Transaction, Token[Transaction | None]]:
        """Open a unit of work in this context, in which none is open; the token is for `is_begun_here`."""
        self._check_not_only_here()
        transaction = Transaction(self._engine, self._specs)
        return transaction, self._unit.set(transaction)

    def is_begun_here(self, transaction: Transaction, token: Token[Transaction | None]) -> bool:
        """Whether `begin` was called in this very context, not in another or in one that this is a copy of."""
        try:
            self._unit.reset(token)
        except ValueError:
            return False
        self._unit.set(transaction)
        return True

    def end(self, transaction: Transaction) -> None:
        """Leave the unit of work that `begin` opened; one that nobody has begun to commit is dropped."""
        transaction.drop()
        if self._unit.get() is transaction:
            self._unit.set(None)

    def commit(self, transaction: Transaction) -> None:
        """Send it; in a context in which it is open."""
        transaction.commit(self._send)

    def _send(self, writes: Mapping[tuple[str, Key], Write]) -> None:
        units = [
            unit for place, write in writes.items() if not isinstance(write, Check) for unit in self._units(*place)
        ]
        with self._cache.writing(units) if units else nullcontext():
            self.revisions.send(self._engine, writes)

    def _units(self, table: str, key: Key) -> Iterator[CacheKey]:
        """What a cache may hold of an item."""
        for mapper in self.tables.kinds:
            if mapper.cached and self.table(mapper) == table:
                yield from mapper.units(key)

    @property
    def records(self) -> bool:
        """Whether a change of a rule leaves an entry in its trail: see `recorded_together`."""
        return self._records.get()

    @contextmanager
    def recorded_together(self) -> Iterator[None]:
        """Around a bulk load, which leaves one entry for all."""
        token = self._records.set(False)
        try:
            yield
        finally:
            self._records.reset(token)

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

    def table(self, mapper: Mapper[Any]) -> str:
        """The table's name on disk."""
        return self.tables.name(mapper)

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
        if len(calls) < 2 or self.engine.parallel_calls < 2:
            return [call() for call in calls]
        # In a copy of the context each, so that they see the unit of work that is open here.
        futures = [self._threads.submit(partial(copy_context().run, call)) for call in calls[1:]]
        try:
            return [calls[0](), *(future.result() for future in futures)]
        finally:
            for future in futures:
                future.cancel()

    def aside(self, call: Callable[[], object]) -> None:
        """Have a call made outside of any unit of work, without waiting for it where it is a round trip."""

        def run() -> None:
            Context().run(call)

        if self._engine.parallel_calls < 2:
            run()
        else:
            self._threads.submit(run)

    def beside(self, call: Callable[[], T], others: Sequence[Callable[[], U]]) -> tuple[T, list[U]]:
        """The same for one call and others of another type; its error is the first."""
        answers: list[Any] = self.together([call, *others])
        return answers[0], answers[1:]

    def close(self) -> None:
        """End the threads, the cache and the engine."""
        self.revisions.close()
        self._threads.close()
        self._cache.close()
        self._engine.close()
