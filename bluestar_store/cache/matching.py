"""Which units an invalidation by field means: everything of a plan, a category, one rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from bluestar_store.protocols import CacheKey

Fields: TypeAlias = Mapping[str, tuple[str, ...]]
"""The names of the fields of a unit, by its first member: a kind's name, or with `*` that of its partitions."""


def check(fields: Fields, kind: str | None, wanted: Mapping[str, Any]) -> None:
    """ValueError for a kind or a field that does not exist: nothing would match, and nobody would know."""
    known = {name: names for name, names in fields.items() if kind in (None, name.removesuffix("*"))}
    if not known:
        raise ValueError(f"there is no kind {kind!r}; there are {', '.join(n for n in fields if not n.endswith('*'))}")
    if strange := wanted.keys() - {name for names in known.values() for name in names}:
        raise ValueError(f"there is no field {', '.join(sorted(strange))} in the keys of {kind or 'any kind'}")


def matcher(fields: Fields, kind: str | None, wanted: Mapping[str, Any]) -> Callable[[CacheKey], bool]:
    """Whether a unit is of the kind (None: of any) and has the wanted values, as far as it has such fields.

    A partition has no field for what tells its items apart, and so matches when the rest does. Without a kind, a unit
    that has none of the wanted fields does not match, unless nothing is wanted. Another process may know kinds that
    this one does not: nothing matches them here.
    """

    def matches(unit: CacheKey) -> bool:
        if kind not in (None, unit[0].removesuffix("*")):
            return False
        values = dict(zip(fields.get(unit[0], ()), unit[1:], strict=False))
        common = wanted.keys() & values.keys()
        return all(str(values[name]) == str(wanted[name]) for name in common) and bool(common or kind or not wanted)

    return matches
