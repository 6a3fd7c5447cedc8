"""Stores for tests, with the baseline rules in them: in memory, and on moto."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from bluestar_store.clock import Clock
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.engines.opening import open_engine
from bluestar_store.keys import DEFAULT, GLOBAL
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.models.tables import Tables
from bluestar_store.protocols import ANY, Delete, Engine, scan_pages
from bluestar_store.seeding import RuleSet, baseline, load, read
from bluestar_store.settings import PersistenceMode, Settings
from bluestar_store.store import Store, tables_of
from bluestar_store.testing.environment import without_settings
from bluestar_store.testing.fault_engine import FaultEngine
from bluestar_store.testing.faults import Faults
from bluestar_store.testing.round_trips import AssertReads

Rules: TypeAlias = str | Path | RuleSet | Entity


@dataclass(frozen=True)
class StoreRequest:
    """What a test wants its Stores to be: fields of Settings, kinds of its own, and the faults that they share."""

    settings: Mapping[str, Any]
    kinds: Sequence[Mapper[Any]]
    faults: Faults
    clock: Clock | None = None


class Seeded:
    """What all tests of a run share, each made once: settings, and engines in memory that hold the baseline."""

    def __init__(self) -> None:
        self._read: list[tuple[dict[str, Any], Settings]] = []
        self._made: dict[tuple[Any, ...], tuple[Tables, MemoryEngine]] = {}

    def settings(self, mode: PersistenceMode, given: Mapping[str, Any]) -> Settings:
        """Settings with these fields. The environment is ignored: reading it takes longer than everything else."""
        fields = {**given, "persistence_mode": mode}
        for known, settings in self._read:
            if known == fields:
                return settings
        with pytest.MonkeyPatch.context() as patch:
            without_settings(patch)
            self._read.append((fields, Settings(**fields)))
        return self._read[-1][1]

    def engine(self, tables: Tables) -> MemoryEngine:
        """A new engine with these tables, and the baseline in them: a copy of one that was made before."""
        # By the identity of the kinds, which are kept so that no other can have it.
        name = (tables.prefix, tables.suffix, tables.layout, *map(id, tables.kinds))
        if name not in self._made:
            engine = MemoryEngine()
            settings = {"table_prefix": tables.prefix, "table_suffix": tables.suffix, "table_layout": tables.layout}
            with Store(self.settings(PersistenceMode.MEMORY, settings), engine, kinds=tables.kinds) as store:
                store.create_tables()
                load(store, baseline(store.tables.kinds))
                levels = map(store.revisions.of_level, (GLOBAL, DEFAULT))
                engine.write(*(Delete(*place) for place in levels))  # long ago, as far as tests are concerned
            self._made[name] = (tables, engine)
        return self._made[name][1].copy()


class Stores:
    """The Stores of one test: they share its faults, and count their reads together."""

    def __init__(self, seeded: Seeded, wanted: StoreRequest) -> None:
        self._seeded, self._wanted = seeded, wanted
        self.reads = AssertReads(wanted.faults)
        self.opened: list[Store] = []

    def memory(self) -> AbstractContextManager[Store]:
        """A Store in memory, for a block."""
        settings = self._seeded.settings(PersistenceMode.MEMORY, self._wanted.settings)
        return self._opened(settings, self._seeded.engine(tables_of(settings, self._wanted.kinds)))

    def dynamo(self) -> AbstractContextManager[Store]:
        """A Store on DynamoDB, whose tables are made, for a block within moto's mock.

        Never with an endpoint: moto leaves calls to other addresses than AWS's alone.
        """
        given = {**self._wanted.settings, "dynamodb_endpoint_url": None}
        settings = self._seeded.settings(PersistenceMode.DYNAMO, given)
        tables = tables_of(settings, self._wanted.kinds)
        engine, seeded = open_engine(settings, tables), self._seeded.engine(tables)
        engine.create_tables(tables.specs())
        for spec in tables.specs():
            engine.put_many(spec.name, (item for page in scan_pages(seeded, spec.name) for item in page))
        return self._opened(settings, engine)

    @contextmanager
    def _opened(self, settings: Settings, engine: Engine) -> Iterator[Store]:
        faulty = FaultEngine(engine, self._wanted.faults)
        with Store(settings, faulty, kinds=self._wanted.kinds, clock=self._wanted.clock) as store:
            self.reads.watch(store)
            self.opened.append(store)
            try:
                yield store
            finally:
                self.opened.remove(store)
                self._wanted.faults.clear()  # closing is no part of the test


class SeedRules:
    """`seed_rules(...)`: writes rules into the Stores of a test."""

    def __init__(self, stores: Callable[[], Sequence[Store]], root: Path) -> None:
        """`stores` are asked for when there is something to write."""
        self._stores, self._root = stores, root

    def __call__(self, *rules: Rules) -> None:
        """Write rule sets (also the folder of one, relative to pytest's rootdir) and entities, over what is there.

        A pipeline is replaced as a whole. Raises SeedError, InvalidEntityError, InvalidKeyError.
        """
        for store in self._stores():
            seed(store, rules, self._root)


def seed(store: Store, rules: Iterable[Rules], root: Path) -> None:
    """See `SeedRules`."""
    entities: list[Entity] = []
    for one in rules:
        match one:
            case Entity():
                entities.append(one)
            case RuleSet():
                entities += one.entities
            case _:
                entities += read(root / one, store.tables.kinds).entities
    listed = {mapper.entity for mapper in store.tables.kinds if mapper.rule_list}
    load(store, RuleSet(tuple(one for one in entities if type(one) in listed)), overwrite=True)
    for entity in entities:
        if type(entity) not in listed:
            store.repository(store.tables.kind_of(entity)).put(entity, expected=ANY)
