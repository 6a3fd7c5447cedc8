"""The AsyncStore: a Store whose calls are awaited."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, TypeVar, overload

from bluestar_store.aio.cache import AsyncCacheControl
from bluestar_store.aio.calls import AsyncCalls
from bluestar_store.aio.files import AsyncFiles
from bluestar_store.aio.repositories import (
    AsyncAudit,
    AsyncBatches,
    AsyncCalculationRules,
    AsyncClaims,
    AsyncConfigs,
    AsyncHolds,
    AsyncIrsLimits,
    AsyncPipelines,
    AsyncPlanKeys,
    AsyncRepository,
    AsyncResults,
    AsyncValidationRules,
    AsyncVendorSchemas,
    awaited_repository,
)
from bluestar_store.clock import Clock
from bluestar_store.lazy import cached_property
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.models.config import AchConfig, ClientConfig
from bluestar_store.redaction.tracebacks import without_locals
from bluestar_store.repositories.sessions import Sessions
from bluestar_store.settings import Settings
from bluestar_store.store import Store, sessions_of
from bluestar_store.threads import Threads, in_another_thread
from bluestar_store.unit_of_work import AsyncUnitOfWork

E = TypeVar("E", bound=Entity)
R = TypeVar("R")
A = TypeVar("A")


@without_locals
class AsyncStore:
    """A Store for asyncio: the same repositories and calls, each of which is awaited.

    A read that finds all it needs in the cache of the process is answered on the event loop; everything else is done
    in `settings.parallel_calls` threads of the AsyncStore. Not bound to an event loop: it may be used from several,
    one after the other or at once. Cancelling what awaits a call does not break the call off half-way: it is made
    whole, or, when it was not its turn yet, not at all.

    Use `AsyncStore.open()`, and `aclose()` (or an `async with` block) at the end.
    """

    # The repositories, as type checkers see them: the mappers of their kinds name them.
    pipelines: AsyncPipelines
    calculation_rules: AsyncCalculationRules
    validation_rules: AsyncValidationRules
    irs_limits: AsyncIrsLimits
    client_configs: AsyncConfigs[ClientConfig]
    ach_configs: AsyncConfigs[AchConfig]
    vendor_schemas: AsyncVendorSchemas
    plan_keys: AsyncPlanKeys
    holds: AsyncHolds
    batches: AsyncBatches
    claims: AsyncClaims
    results: AsyncResults
    audit: AsyncAudit

    def __init__(self, store: Store) -> None:
        """Round a Store that is used elsewhere too: `aclose` does not close it."""
        self.store, self.settings = store, store.settings
        self._owned = False
        self._threads = Threads(store.settings.parallel_calls, "bluestar-async")
        self._sessions = sessions_of(store)
        calls = self.calls = AsyncCalls(self._sessions, self._threads)
        for mapper in store.tables.kinds:
            if mapper.in_store is not None:
                setattr(self, mapper.in_store, awaited_repository(calls, getattr(store, mapper.in_store)))
        self.cache = AsyncCacheControl(calls, store.cache)
        self.create_tables = calls.awaited(store.create_tables)
        self.describe_tables = calls.awaited(store.describe_tables)
        self.plans = calls.awaited(store.plans)
        self.categories = calls.awaited(store.categories)
        self.vendors = calls.awaited(store.vendors)
        self.overrides = calls.awaited(store.overrides)
        self.at_level = calls.awaited(store.at_level)
        self.rules_of_type = calls.awaited(store.rules_of_type)
        self.plan_snapshot = calls.awaited(store.plan_snapshot)
        self.plan_contents = calls.awaited(store.plan_contents)
        self.encrypt = calls.awaited(store.encrypt)
        self.check = calls.awaited(store.check)

    @classmethod
    def open(
        cls, settings: Settings | None = None, *, kinds: Sequence[Mapper[Any]] = (), clock: Clock | None = None
    ) -> AsyncStore:
        """See `Store.open`; nothing is sent before the first call. Raises ConfigurationError."""
        opened = cls(Store.open(settings, kinds=kinds, clock=clock))
        opened._owned = True
        return opened

    @overload
    def repository(self, mapper: Mapper[E]) -> AsyncRepository[E]: ...
    @overload
    def repository(
        self, mapper: Mapper[E], of: Callable[[Sessions, Mapper[E]], R], awaited: Callable[[AsyncCalls, R], A]
    ) -> A: ...
    def repository(
        self,
        mapper: Mapper[Any],
        of: Callable[[Sessions, Mapper[Any]], Any] | None = None,
        awaited: Callable[[AsyncCalls, Any], Any] = AsyncRepository,
    ) -> Any:
        """The repository of a kind: see `Store.repository`.

        `of` makes another one, and `awaited` its async side, mostly a subclass of AsyncRepository. Raises
        ConfigurationError for a kind that the Store was not opened with.
        """
        return awaited(self.calls, self.store.repository(mapper, of) if of else self.store.repository(mapper))

    def unit_of_work(self) -> AsyncUnitOfWork[AsyncStore]:
        """A block whose writes are one transaction, or none.

        `async with store.unit_of_work() as uow: await uow.holds.place(...)`; `uow` is this AsyncStore. See
        `Store.unit_of_work`. The commit waits for calls within the block that nobody awaits any more.
        """
        return AsyncUnitOfWork(self, self._sessions, self.calls.in_thread)

    @cached_property
    def files(self) -> AsyncFiles:
        """The files of BLUESTAR_FILES_URL, opened at first use. ConfigurationError when it is not set."""
        return AsyncFiles(self.calls, self.store.files)

    async def aclose(self) -> None:
        """Let go of the threads when they are done with what was begun, and of the Store that `open` made.

        May be called twice.
        """
        await in_another_thread(self._close)  # our own would wait for itself

    def _close(self) -> None:
        self._threads.close()
        if self._owned:
            self.store.close()

    async def __aenter__(self) -> AsyncStore:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"Async{self.store!r}"
