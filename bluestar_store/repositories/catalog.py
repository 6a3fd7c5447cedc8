"""Lists plans, categories, vendors, and everything that a plan overrides."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from bluestar_store.keys import DEFAULT, GLOBAL, Key, check_plan
from bluestar_store.mapping import salvage
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.indexes import BY_LEVEL, level_prefix
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.models.calculation import CALCULATION_RULE, CalculationRule
from bluestar_store.models.validation import VALIDATION_RULE
from bluestar_store.models.vendor import VENDOR_SCHEMA
from bluestar_store.protocols import Item, Place, key_of
from bluestar_store.repositories.index_reader import IndexReader
from bluestar_store.repositories.moments import Listed, read_as_one
from bluestar_store.repositories.session import Session
from bluestar_store.repositories.sessions import Sessions


class Catalog:
    """Answers for people and seeds; every answer was looked up in the tables themselves.

    What an index names and is committed is in them. An index follows its table: what was written a moment ago may not
    be listed yet, or a part of a transaction. `at_level` alone is of one moment.
    """

    def __init__(self, sessions: Sessions, index_reader: IndexReader) -> None:
        self._sessions, self._index_reader = sessions, index_reader
        by_level = [mapper for mapper in sessions.tables.kinds if BY_LEVEL in mapper.index_names]
        self._plan_kinds = [mapper for mapper in by_level if mapper.is_of_plans]
        self._naming_kinds = [mapper for mapper in by_level if mapper.names_plan]
        self._shared_kinds = [mapper for mapper in by_level if not mapper.is_of_plans and not mapper.names_plan]

    def plans(self) -> tuple[str, ...]:
        """Every plan that has something of its own, sorted."""
        session, plans = self._sessions.current(), set[str]()
        for kind in self._naming_kinds:
            plans.update(filter(None, map(_plan_of, self._items(session, kind, "", lambda key: True))))
        for kind in self._plan_kinds:
            plans.update(self._values(session, kind, "plan_id"))
        return tuple(sorted(plans - {GLOBAL, DEFAULT}))

    def categories(self) -> tuple[str, ...]:
        """Every category of validation rules, GLOBAL's and plans' own, sorted."""
        return tuple(self._values(self._sessions.current(), VALIDATION_RULE, "category"))

    def vendors(self) -> tuple[str, ...]:
        """Every vendor that has a schema, sorted."""
        return tuple(self._values(self._sessions.current(), VENDOR_SCHEMA, "vendor_id"))

    def overrides(self, plan_id: str, *, without_lost: bool = False) -> tuple[Entity, ...]:
        """Everything that is the plan's own: pipelines, rules, configs, schemas; by table, then key."""
        return self.at_level(check_plan(plan_id), without_lost=without_lost)

    def at_level(self, level: str, *, without_lost: bool = False) -> tuple[Entity, ...]:
        """Everything that a level has: a plan, GLOBAL (with limits and the vendors' own schemas) or DEFAULT.

        `without_lost`: without values whose key was dropped, see `mapping.salvage.without_lost`.
        """
        session = self._sessions.current()
        decode = salvage.without_lost if without_lost else Mapper.decode
        # A vendor's schema is listed in GLOBAL's revision, whichever plan it is of: its key does not tell.
        revisions = [session.revisions.of_level(one) for one in dict.fromkeys((level, GLOBAL))]
        listed = read_as_one(session, revisions, partial(self._listed, session, level))
        found: list[Entity] = []
        for mapper in self._kinds_of(level):
            table = session.table(mapper)
            items = [item for (name, _), item in listed.items.items() if name == table and mapper.owns(item)]
            if mapper.names_plan:  # its key does not tell its plan; another plan's damage is not looked at
                items = [item for item in items if (_plan_of(item) or GLOBAL) == level]
            found += self._decoded(session, mapper, items, decode)
        return tuple(found)

    def _kinds_of(self, level: str) -> tuple[Mapper[Any], ...]:
        return (*self._plan_kinds, *(self._shared_kinds if level == GLOBAL else ()), *self._naming_kinds)

    def _listed(self, session: Session, level: str) -> Listed:
        """What the indexes know of a level, and what of a transaction of late is of it."""
        items: dict[Place, Item] = {}
        for kind in self._kinds_of(level):
            # What belongs to no plan, as a vendor's own schemas, lies under an empty text.
            prefix = level_prefix("" if kind.names_plan and level == GLOBAL else level)
            found = self._items(session, kind, prefix, partial(_may_be_at, kind, level))
            items |= {(session.table(kind), key_of(item)): item for item in found}
        return Listed(items, partial(self._is_at, session, level))

    def _is_at(self, session: Session, level: str, place: Place) -> bool:
        table, key = place
        return any(
            session.table(mapper) == table and mapper.keys.parse(key) is not None and _may_be_at(mapper, level, key)
            for mapper in self._kinds_of(level)
        )

    def rules_of_type(self, calc_type: str) -> tuple[CalculationRule, ...]:
        """The calculation rules of one type at every level: GLOBAL's first, then each plan's own, by plan.

        Each as it is stored; not all as of one moment, see above.
        """
        sk = CALCULATION_RULE.keys.sort.build({"calc_type": calc_type})
        session = self._sessions.current()
        items = self._items(session, CALCULATION_RULE, "", lambda key: key.sk == sk)
        found: list[CalculationRule] = self._decoded(session, CALCULATION_RULE, items)
        return tuple(sorted(found, key=lambda rule: rule.plan_id != GLOBAL))

    def _values(self, session: Session, mapper: Mapper[Any], field: str) -> list[str]:
        def value_of(key: Key) -> str:
            return str((mapper.keys.partition_identity(key.pk) or {})[field])

        items = self._index_reader.find(session, mapper, BY_LEVEL, mapper.name)
        return self._index_reader.existing(session, mapper, items, value_of)

    def _items(
        self, session: Session, mapper: Mapper[Any], prefix: str, wanted: Callable[[Key], bool]
    ) -> Iterable[Item]:
        """The items behind a prefix of the index, as the tables have them now."""
        found = map(key_of, self._index_reader.find(session, mapper, BY_LEVEL, mapper.name, prefix))
        return self._index_reader.stored(session, mapper, filter(wanted, found)).values()

    def _decoded(
        self,
        session: Session,
        mapper: Mapper[Any],
        items: Iterable[Item],
        decode: Callable[[Mapper[Any], Item, str], Any] = Mapper.decode,
    ) -> list[Any]:
        """The entities in items, by identity."""
        entities = [decode(mapper, item, session.table(mapper)) for item in items]
        return sorted(entities, key=lambda entity: list(mapper.identity(entity).values()))


def level_of(entity: Entity) -> str:
    """The level of a rule: its plan, DEFAULT, or GLOBAL for what belongs to no plan."""
    return getattr(entity, "plan_id", None) or GLOBAL


def _plan_of(item: Item) -> str | None:
    """The plan that an item names beside its key."""
    return item.get("plan_id", {}).get("S")


def _may_be_at(mapper: Mapper[Any], level: str, key: Key) -> bool:
    """Whether the key leaves open that the item is of this level: another plan's damage is not looked at."""
    identity = mapper.keys.parse(key) or {}
    return bool(identity.get("plan_id", level) == level)
