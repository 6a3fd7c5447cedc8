"""What there is: plans, categories, vendors, and everything that a plan overrides."""

from __future__ import annotations

from typing import Any

from bluestar_store.keys import DEFAULT, GLOBAL, Key, check_plan
from bluestar_store.models.entity import Entity
from bluestar_store.models.indexes import BY_LEVEL, level_prefix
from bluestar_store.models.kind import Kind
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
        plans = {schema.plan_id for schema in self._schemas("") if schema.plan_id is not None}
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
        check_plan(plan_id)
        found: list[Entity] = []
        for kind in (*PLAN_KINDS, VENDOR_SCHEMA):
            entities = self._level(kind, level_prefix(plan_id))
            found += [entity for entity in entities if getattr(entity, "plan_id", None) == plan_id]
        return tuple(found)

    def _values(self, kind: Kind[Any], field: str) -> list[str]:
        def value_of(key: Key) -> str:
            return str((kind.keys.parse(key) or {})[field])

        return self._finder.existing(kind, self._finder.find(kind, BY_LEVEL, kind.name), value_of)

    def _schemas(self, prefix: str) -> list[Any]:
        return self._level(VENDOR_SCHEMA, prefix)

    def _level(self, kind: Kind[Any], prefix: str) -> list[Any]:
        """The entities of one level, as the tables have them now, by identity."""
        keys = {key_of(item) for item in self._finder.find(kind, BY_LEVEL, kind.name, prefix)}
        table = self._access.table(kind)
        found = self._access.engine.get(table, keys, consistent=True).values()
        entities = [kind.decode(item, table) for item in found]
        return sorted(
            entities, key=lambda entity: [str(kind.identity(entity)[name]).zfill(12) for name in kind.keys.fields]
        )
