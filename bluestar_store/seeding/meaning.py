"""What the checks of meaning find in a difference: what is refused before it is written, and what is asked about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from bluestar_store.errors import RuleSetProblem, SeedError
from bluestar_store.models.entity import Entity
from bluestar_store.models.field_checks import shrunk
from bluestar_store.models.limits import IRS_LIMITS, IrsLimits
from bluestar_store.models.meaning import REFUSED, Finding, Level
from bluestar_store.seeding.compare import Part, Target, repositories


def changed_findings(store: Target, wanted: Entity, stored: Entity | None) -> Iterator[Finding]:
    """What the checks find in a new entity, or in what of a stored one would be changed."""
    fields = None
    if stored is not None:
        fields = {name for name in type(wanted).model_fields if getattr(wanted, name) != getattr(stored, name, None)}
    return store.settings.checks.findings(wanted, fields)


def check_meaning(store: Target, parts: Iterable[Part]) -> None:
    """Raise SeedError, with all that the writes would refuse, where a part that is to be written has any of it."""
    problems = [
        RuleSetProblem(place, f"/{found.field}", found.reason)
        for place, found in _findings(store, parts)
        if found.level is Level.WRONG
    ]
    if problems:
        raise SeedError(problems)


def doubts(store: Target, parts: Iterable[Part]) -> list[tuple[str, Finding]]:
    """What is not refused and may be a mistake all the same, each with the item's place.

    Words that are new, and limits that are less than those of the year before: the rule set's, else the store's.
    """
    looked_at = list(parts)
    found = [(place, one) for place, one in _findings(store, looked_at) if one.level not in REFUSED]
    limits = [(part, entity) for part in looked_at for entity in part.wanted if isinstance(entity, IrsLimits)]
    wanted = {entity.year: entity for _, entity in limits}
    missing = [IrsLimits(year=year - 1) for year in wanted if year and year - 1 not in wanted]
    stored = repositories(store)[IRS_LIMITS.name].current(missing).values() if missing else ()
    years = {entity.year: entity for entity in (*stored, *wanted.values())}
    for part, entity in limits:
        before = years.get(entity.year - 1)
        fields = {change.attribute for entry in part.entries for change in entry.changes}
        if before is not None:
            shrinking = shrunk(entity, before, store.settings.checks)
            found += [(_place(part, entity), one) for one in shrinking if one.field in fields]
    return found


def _findings(store: Target, parts: Iterable[Part]) -> Iterator[tuple[str, Finding]]:
    for part in parts:
        stored = {tuple(part.kind.identity(entity).values()): entity for entity in part.stored}
        for entity in part.wanted:
            before = stored.get(tuple(part.kind.identity(entity).values()))
            for found in changed_findings(store, entity, before):
                yield _place(part, entity), found


def _place(part: Part, entity: Any) -> str:
    key = part.kind.keys.build(part.kind.identity(entity))
    return f"{part.kind.name} {key.pk} {key.sk}"
