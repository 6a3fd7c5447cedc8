"""Runs the checks of values over a difference: what is refused before it is written, and what is asked about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from bluestar_store.checks.fields import decreased_figures, removed_figures
from bluestar_store.checks.meaning import REFUSED, FieldFinding, Level
from bluestar_store.errors import ItemDecodeError, RuleSetProblem, SeedError
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.models.limits import IRS_LIMITS, IrsLimits
from bluestar_store.redaction.tracebacks import without_locals
from bluestar_store.rulesets.comparing import Part, RuleStore, repositories


def changed_findings(store: RuleStore, wanted: Entity, stored: Entity | None) -> Iterator[FieldFinding]:
    """What the checks find in a new entity, or in what of a stored one would be changed."""
    fields = None
    if stored is not None:
        fields = {name for name in type(wanted).model_fields if getattr(wanted, name) != getattr(stored, name, None)}
    return store.settings.checks.findings(wanted, fields)


@without_locals
def check_meaning(store: RuleStore, parts: Iterable[Part]) -> None:
    """Raise SeedError, with all that the writes would refuse, where a part that is to be written has any of it."""
    problems = [
        RuleSetProblem(place, f"/{found.field}", found.reason)
        for place, found in _findings(store, parts)
        if found.level is Level.WRONG
    ]
    if problems:
        raise SeedError(problems)


@without_locals
def doubts(store: RuleStore, parts: Iterable[Part]) -> list[tuple[str, FieldFinding]]:
    """What is not refused and may be a mistake all the same, each with the item's place.

    Words that are new, and limits that would be less than those of the year before.
    """
    looked_at = list(parts)
    found = [(place, one) for place, one in _findings(store, looked_at) if one.level not in REFUSED]
    return [*found, *_shrinking(store, looked_at)]


def _shrinking(store: RuleStore, parts: Sequence[Part]) -> Iterator[tuple[str, FieldFinding]]:
    """Figures of the years that are changed, and of those after them, beside the year before: as they would be then.

    And figures that are taken away.
    """
    checks = store.settings.checks
    limits = [(part, entity) for part in parts for entity in part.wanted if isinstance(entity, IrsLimits)]
    changed = {
        entity.year: {one.attribute for entry in part.entries for one in entry.changes} for part, entity in limits
    }
    for part, entity in limits:
        for stored in part.stored:
            yield from ((_place(IRS_LIMITS, entity), one) for one in removed_figures(entity, stored, checks))
    near = {year + step for year in changed for step in (-1, 1) if year + step >= 0} - changed.keys()
    years = {entity.year: entity for _, entity in limits}
    for year in near:
        with suppress(ItemDecodeError):  # which is the doctor's
            years |= {
                one.year: one for one in repositories(store)[IRS_LIMITS.name].current([IrsLimits(year=year)]).values()
            }
    for year, entity in sorted(years.items()):
        fields = changed.get(year, set()) | changed.get(year - 1, set())
        if year - 1 in years and fields:
            shrinking = decreased_figures(entity, years[year - 1], checks)
            yield from ((_place(IRS_LIMITS, entity), one) for one in shrinking if one.field in fields)


def _findings(store: RuleStore, parts: Iterable[Part]) -> Iterator[tuple[str, FieldFinding]]:
    for part in parts:
        stored = {tuple(part.mapper.identity(entity).values()): entity for entity in part.stored}
        for entity in part.wanted:
            before = stored.get(tuple(part.mapper.identity(entity).values()))
            for found in changed_findings(store, entity, before):
                yield _place(part.mapper, entity), found


def _place(mapper: Mapper[Any], entity: Any) -> str:
    key = mapper.keys.build(mapper.identity(entity))
    return f"{mapper.name} {key.pk} {key.sk}"
