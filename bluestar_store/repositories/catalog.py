"""What there is: plans, categories, vendors, and everything that a plan overrides."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from bluestar_store.keys import DEFAULT, GLOBAL, Key, check_plan
from bluestar_store.models.calculation import CALCULATION_RULE, CalculationRule
from bluestar_store.models.entity import Entity
from bluestar_store.models.indexes import BY_LEVEL, level_prefix
from bluestar_store.models.kind import Kind
from bluestar_store.models.limits import IRS_LIMITS
from bluestar_store.models.tables import KINDS
from bluestar_store.models.validation import VALIDATION_RULE
from bluestar_store.models.vendor import VENDOR_SCHEMA
from bluestar_store.protocols import key_of
from bluestar_store.repositories.access import Access
from bluestar_store.repositories.finder import Finder

PLAN_KINDS = tuple(kind for kind in KINDS if BY_LEVEL in kind.index_names and "plan_id" in kind.keys.fields)
"""Kinds whose key says which plan an item belongs to. A vendor schema says so in an attribute."""


class Catalog:
    """Answers for people and seeds; every answer was looked up in the tables themselves."""

    def __init__(self, access: Access, finder: Finder) -> None:
        self._access, self._finder = access, finder

    def plans(self) -> tuple[str, ...]:
        """Every plan that has something of its own, sorted."""
        plans = {schema.plan_id for schema in self._entities(VENDOR_SCHEMA, "", lambda key: True) if schema.plan_id}
        for kind in PLAN_KINDS:
            plans.update(self._values(kind, "plan_id"))
        return tuple(sorted(plans - {GLOBAL, DEFAULT}))

    def categories(self) -> tuple[str, ...]:
        """Every category of validation rules, GLOBAL's and plans' own, sorted."""
        return tuple(self._values(VALIDATION_RULE, "category"))

    def vendors(self) -> tuple[str, ...]:
        """Every vendor that has a schema, sorted."""
        return tuple(self._values(VENDOR_SCHEMA, "vendor_id"))

    def overrides(self, plan_id: str) -> tuple[Entity, ...]:
        """Everything that is the plan's own: pipelines, rules, configs, schemas; by table, then key."""
        return self.at_level(check_plan(plan_id))

    def at_level(self, level: str) -> tuple[Entity, ...]:
        """Everything that a level has: a plan, GLOBAL (with limits and the vendors' own schemas) or DEFAULT."""
        found: list[Entity] = []
        for kind in (*PLAN_KINDS, IRS_LIMITS, VENDOR_SCHEMA):
            # A vendor's own schemas lie under no plan, and so under an empty text.
            prefix = level_prefix("" if kind is VENDOR_SCHEMA and level == GLOBAL else level)
            entities = self._entities(kind, prefix, partial(_may_be_at, kind, level))
            found += [entity for entity in entities if level_of(entity) == level]
        return tuple(found)

    def rules_of_type(self, calc_type: str) -> tuple[CalculationRule, ...]:
        """The calculation rules of one type at every level: GLOBAL's first, then each plan's own, by plan."""
        sk = CALCULATION_RULE.keys.sort.build({"calc_type": calc_type})
        found: list[CalculationRule] = self._entities(CALCULATION_RULE, "", lambda key: key.sk == sk)
        return tuple(sorted(found, key=lambda rule: rule.plan_id != GLOBAL))

    def _values(self, kind: Kind[Any], field: str) -> list[str]:
        def value_of(key: Key) -> str:
            return str((kind.keys.parse(key) or {})[field])

        return self._finder.existing(kind, self._finder.find(kind, BY_LEVEL, kind.name), value_of)

    def _entities(self, kind: Kind[Any], prefix: str, wanted: Callable[[Key], bool]) -> list[Any]:
        """The entities behind a prefix of the index, as the tables have them now, by identity."""
        found = map(key_of, self._finder.find(kind, BY_LEVEL, kind.name, prefix))
        table = self._access.table(kind)
        items = self._access.engine.get(table, filter(wanted, found), consistent=True).values()
        entities = [kind.decode(item, table) for item in items]
        return sorted(entities, key=lambda entity: list(kind.identity(entity).values()))


def level_of(entity: Entity) -> str:
    """The level of a rule: its plan, DEFAULT, or GLOBAL for what belongs to no plan."""
    return getattr(entity, "plan_id", None) or GLOBAL


def _may_be_at(kind: Kind[Any], level: str, key: Key) -> bool:
    """Whether the key leaves open that the item is of this level: another plan's damage is not looked at."""
    identity = kind.keys.parse(key) or {}
    return bool(identity.get("plan_id", level) == level)
