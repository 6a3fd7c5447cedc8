"""Which units an invalidation by field means: everything of a plan, a category, one rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from bluestar_store.protocols import Unit

Fields: TypeAlias = Mapping[str, tuple[str, ...]]
"""The names of the fields of a unit, by its first member: a kind's name, or with `*` that of its partitions."""


def matcher(fields: Fields, kind: str | None, wanted: Mapping[str, Any]) -> Callable[[Unit], bool]:
    """Whether a unit is of the kind (None: of any) and has the wanted values, as far as it has such fields.

    A partition has no field for what tells its items apart, and so matches when the rest does. A unit that has none of
    the wanted fields does not match, unless nothing is wanted.
    """

    def matches(unit: Unit) -> bool:
        if kind is not None and unit[0].removesuffix("*") != kind:
            return False
        values = dict(zip(fields.get(unit[0], ()), unit[1:], strict=False))
        common = wanted.keys() & values.keys()
        return all(values[name] == wanted[name] for name in common) and (bool(common) or not wanted)

    return matches
