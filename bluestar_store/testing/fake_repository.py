"""A repository without a Store, for the unit tests of agents."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from bluestar_store.cache import NullCache
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.models.tables import Tables
from bluestar_store.protocols import ANY, scan_pages
from bluestar_store.repositories.base import Repository, in_order
from bluestar_store.repositories.session import StoreParts
from bluestar_store.repositories.sessions import Sessions
from bluestar_store.settings import TableLayout
from bluestar_store.testing.fault_engine import FaultEngine

E = TypeVar("E", bound=Entity)


class FakeRepository(Repository[E]):
    """Stands in for the repository of a kind: `FakeRepository(CALCULATION_RULE, [rule, other])`.

    It is the library's own repository over a table in memory, and so its versions, errors, checks and copies are
    the library's. `faults` lets its calls fail. A repository of your own with reads of its own becomes a fake with
    both bases, yours first: `class FakeCalendars(PayCalendars, FakeRepository[PayCalendar])`.
    """

    def __init__(self, mapper: Mapper[E], entities: Iterable[E] = ()) -> None:
        """`entities` are there from the beginning, at version 1. Raises what `put` raises."""
        tables = Tables("bluestar-", "", TableLayout.PER_TABLE, (mapper,))
        engine = FaultEngine(MemoryEngine())
        engine.create_tables(tables.specs())
        super().__init__(Sessions(StoreParts(engine, tables, NullCache(), records=False)), mapper)
        self.faults = engine.faults
        for entity in entities:
            self.put(entity.inherited_as(None), expected=ANY)  # also one that was read elsewhere, by whomever
        self.faults.forget()

    def get(self, *identity: Any, **options: Any) -> E:
        """The entity of an identity, its fields in the order of the key: `get("ACME", "match")`.

        Where a plan has none, the one of the kind's level, GLOBAL or DEFAULT; but for pipeline steps, which a plan has
        all of its own or none. `options` (`fresh`) are those of the real repositories, and make no difference here:
        nothing is cached. Raises the kind's NotFoundError, InvalidKeyError.
        """
        found = self.first(*self._levels(identity), fresh=True)
        if found is None:
            named = ", ".join(
                f"{name}={value!r}" for name, value in zip(self._mapper.keys.fields, identity, strict=True)
            )
            raise self.not_found(f"no {self._mapper.name} {named}")
        return found

    def _levels(self, identity: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        keys = self._mapper.keys
        if len(identity) != len(keys.fields):
            raise TypeError(
                f"a {self._mapper.name} is found by {', '.join(keys.fields)}, not by {len(identity)} values"
            )
        if keys.level is None or self._mapper.replaced_whole:
            return [identity]
        place = keys.fields.index("plan_id")
        return [identity, (*identity[:place], keys.level, *identity[place + 1 :])]

    def all(self) -> tuple[E, ...]:
        """Every entity, by partition key, then in the order of its partition. Raises ItemDecodeError."""
        session = self._sessions.current()
        items = [item for page in scan_pages(session.engine, session.table(self._mapper)) for item in page]
        partitions = dict.fromkeys(item["PK"]["S"] for item in items)
        return tuple(
            entity
            for pk in partitions
            for entity in in_order(session, self._mapper, (item for item in items if item["PK"]["S"] == pk))
        )

    def __len__(self) -> int:
        return len(self.all())
