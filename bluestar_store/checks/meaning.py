"""Checks of values beyond their types, declared beside the field that they are about.

    routing_number: Annotated[SensitiveText | None, ROUTING_NUMBER] = None

Checks run when rules are written, never when they are read: stored items stay readable, and values that a write leaves
unchanged are not checked. Each check can be switched off by its name (setting `checks_off`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, ClassVar

from bluestar_store.mapping.entity import Entity


class Level(StrEnum):
    """What becomes of a value that a check has found.

    WRONG is refused wherever it is written. UNKNOWN is refused in rule sets and at a terminal: an application may know
    more words than the library. DOUBTFUL is asked about, NEW only told.
    """

    WRONG = "wrong"
    UNKNOWN = "unknown"
    DOUBTFUL = "doubtful"
    NEW = "new"


REFUSED = (Level.WRONG, Level.UNKNOWN)
"""What rule sets and commands do not take."""


@dataclass(frozen=True)
class FieldFinding:
    """What a check has found: the field, the check's name, and what is wrong, which shows no sensitive value."""

    field: str
    check: str
    level: Level
    reason: str

    def __str__(self) -> str:
        return f"{self.field} {self.reason}"


@dataclass(frozen=True)
class Checks:
    """The checks that are made: all but those named in `off`. `words` are taken for known, too."""

    off: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()

    def findings(self, entity: Entity, fields: Collection[str] | None = None) -> Iterator[FieldFinding]:
        """What is wrong with an entity, or with these fields of it, in the order of its fields."""
        for field, check in declared(type(entity)):
            if check.name in self.off or (fields is not None and not {field, *check.beside} & set(fields)):
                continue
            value = getattr(entity, field)
            found = None if value is None else check.look(value, entity, self)
            if found is not None:
                yield FieldFinding(field, check.name, *found)


ALL = Checks()


class FieldCheck:
    """One check. `look` is given a value that is not None; `beside` names other fields that its answer depends on."""

    name: str
    beside: ClassVar[tuple[str, ...]] = ()

    def look(self, value: Any, entity: Entity, checks: Checks) -> tuple[Level, str] | None:
        """How grave the fault is and what it is; None for a value without fault."""
        raise NotImplementedError


@lru_cache(64)
def declared(entity: type[Entity]) -> tuple[tuple[str, FieldCheck], ...]:
    """The checks that are declared beside the fields of an entity."""
    return tuple(
        (name, check)
        for name, field in entity.model_fields.items()
        for check in field.metadata
        if isinstance(check, FieldCheck)
    )
