"""Which tables there are, in both layouts. Their schemas come from the Models."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, TypeVar

from bluestar_store.errors import ConfigurationError
from bluestar_store.lazy import cached_property
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.models.registry import KINDS
from bluestar_store.protocols import IndexSpec, TableSpec
from bluestar_store.settings import TableLayout

E = TypeVar("E", bound=Entity)

_TABLE_NAME = re.compile(r"[A-Za-z0-9_.-]{3,255}")


@dataclass(frozen=True)
class Tables:
    """The tables of one environment: their names on disk, and the specification of each."""

    prefix: str
    suffix: str
    layout: TableLayout
    kinds: tuple[Mapper[Any], ...] = KINDS

    def name(self, mapper: Mapper[Any]) -> str:
        """The name on disk of the table that holds this kind."""
        logical = "store" if self.layout is TableLayout.SINGLE else mapper.table
        if (known := self._names.get(logical)) is not None:
            return known
        name = f"{self.prefix}{logical}{self.suffix}"
        if not _TABLE_NAME.fullmatch(name) or name.startswith("."):
            raise ConfigurationError(
                f"BLUESTAR_TABLE_PREFIX and BLUESTAR_TABLE_SUFFIX make the table name {name!r}; a name has 3 to 255 of "
                "the characters a-z, A-Z, 0-9, '_', '-' and '.' (an AWS limit)"
            )
        self._names[logical] = name
        return name

    @cached_property
    def _names(self) -> dict[str, str]:
        """Those that were asked for: every read and write asks for some."""
        return {}

    def registered(self, mapper: Mapper[E]) -> Mapper[E]:
        """The kind as this environment has it: a user may have given it fields. ConfigurationError if it has not."""
        found = next((one for one in self.kinds if one.name == mapper.name), None)
        if found is None or not issubclass(found.entity, mapper.entity):
            raise ConfigurationError(
                f"kind {mapper.name} is not registered: open the Store with kinds=[...], or set BLUESTAR_KINDS"
            )
        return found

    def kind_of(self, entity: Entity) -> Mapper[Any]:
        """The kind of an entity."""
        return next(mapper for mapper in self.kinds if type(entity) is mapper.entity)

    def named(self, name: str) -> Mapper[Any]:
        """The kind of this name."""
        return next(mapper for mapper in self.kinds if mapper.name == name)

    def specs(self) -> tuple[TableSpec, ...]:
        """The tables, each once, with the indexes that the Models in it ask for."""
        indexes: dict[str, dict[str, IndexSpec]] = {}
        for kind in self.kinds:
            indexes.setdefault(self.name(kind), {}).update(index_specs(kind))
        return tuple(TableSpec(name, tuple(found.values())) for name, found in indexes.items())

    def spec(self, mapper: Mapper[Any]) -> TableSpec:
        """The table that holds this kind."""
        return next(spec for spec in self.specs() if spec.name == self.name(mapper))


def index_specs(mapper: Mapper[Any]) -> dict[str, IndexSpec]:
    """The indexes of a kind's Model, by name."""
    specs = {}
    for name, index in mapper.model._indexes.items():
        keys = {key["KeyType"]: key["AttributeName"] for key in index._get_schema()["key_schema"]}
        specs[name] = IndexSpec(name, keys["HASH"], keys["RANGE"])
    return specs
