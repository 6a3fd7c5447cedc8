"""Loading a rule set: missing entities are added; those that differ are left alone unless `overwrite`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from dataclasses import dataclass, fields
from functools import partial
from itertools import chain
from typing import Any

from bluestar_store.deprecation import renamed
from bluestar_store.errors import ConflictError
from bluestar_store.mapping.canonical import canonical, digest
from bluestar_store.models.audit import Trail
from bluestar_store.protocols import ABSENT
from bluestar_store.redaction.tracebacks import without_locals
from bluestar_store.repositories.combining import REFUSALS
from bluestar_store.repositories.digests import is_sensitive
from bluestar_store.rulesets.comparing import Difference, Entry, Part, RuleStore, compare, compare_part, repositories
from bluestar_store.rulesets.meaning import check_meaning
from bluestar_store.rulesets.reading import RuleSet
from bluestar_store.threads import side_by_side

LOADS = Trail(table="rule-sets", partition="LOADS")
"""The trail that has one entry for each bulk load."""
MOST_TOGETHER = 45
"""Parts of one transaction: of its 100 writes (AWS limit) each takes one, and one for its level at most."""
KEPT = ("same", "left_alone")
"""Outcomes of parts that are not written."""
ATTEMPTS = 5
"""Tries of one part that others change at the same time."""


@dataclass(frozen=True)
class LoadReport:
    """The outcome for each entity of the rule set."""

    added: tuple[Entry, ...] = ()
    overwritten: tuple[Entry, ...] = ()
    removed: tuple[Entry, ...] = ()
    same: tuple[Entry, ...] = ()
    left_alone: tuple[Entry, ...] = ()


@without_locals
def load(
    store: RuleStore,
    rule_set: RuleSet,
    *,
    overwrite: bool = False,
    prune: bool = False,
    progress: Callable[[int], None] | None = None,
    actor: str | None = None,
) -> LoadReport:
    """Write what the store lacks, conditionally; returns what was done.

    An entity that exists and differs is left alone and reported, unless `overwrite`; its unknown attributes survive
    either way. A pipeline is taken as a whole. `prune` removes what the store has besides (see `compare`). `progress`
    is told the number of entities just done. `actor` is who writes, the setting's where none is given. Loading again
    after a failure goes on where it stopped.
    """
    return apply_difference(
        store, compare(store, rule_set, prune=prune), overwrite=overwrite, progress=progress, actor=actor
    )


@without_locals
def apply_difference(
    store: RuleStore,
    difference: Difference,
    *,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
    actor: str | None = None,
    attempts: int = ATTEMPTS,
) -> LoadReport:
    """Write a difference as `load` does, and nothing that is not in it: for one that somebody has seen.

    `attempts` are the tries of one part: of 1, what others change meanwhile is a ConflictError, else it is looked at
    again, and written over with `overwrite`.
    """
    writes = to_write(difference, overwrite=overwrite)
    check_meaning(store, writes.parts)
    with one_entry(store, difference, writes, actor):
        groups = list(_groups(difference.parts, store.engine.parallel_calls, overwrite=overwrite))
        applying = partial(_apply_group, store, overwrite=overwrite, actor=actor, attempts=attempts)
        return report(_applied(store, difference.parts, groups, applying, progress))


def _applied(
    store: RuleStore,
    parts: Sequence[Part],
    groups: Sequence[Sequence[Part]],
    apply_group: Callable[[Sequence[Part]], list[tuple[str, Part]]],
    progress: Callable[[int], None] | None,
) -> list[tuple[str, Part]]:
    """What became of each part, in their order; `progress` is told of each in its turn.

    Some groups are written at once. When one fails, the others that are under way are finished first.
    """
    applying = side_by_side(store.engine.parallel_calls, apply_group, groups)
    with closing(applying):
        outcomes = chain.from_iterable(applying)
        return [outcome for _, outcome in zip(with_progress(parts, progress), outcomes, strict=True)]


def _groups(parts: Sequence[Part], parallel: int, *, overwrite: bool) -> Iterator[list[Part]]:
    """The parts in their order, those together that one transaction writes; a pipeline is one by itself.

    As few transactions as can be, for readers look at each; but as many as can be under way at once.
    """
    count = sum(not part.mapper.replaced_whole and _is_to_write(part, overwrite) for part in parts)
    most, group, writes = min(MOST_TOGETHER, -(-count // parallel)), list[Part](), 0
    for part in parts:
        is_alone, writes_too = part.mapper.replaced_whole, _is_to_write(part, overwrite)
        if group and (is_alone or (writes_too and writes == most)):
            yield group
            group, writes = [], 0
        group.append(part)
        writes += writes_too
        if is_alone:
            yield group
            group, writes = [], 0
    if group:
        yield group


def _apply_group(
    store: RuleStore, group: Sequence[Part], overwrite: bool, actor: str | None, attempts: int
) -> list[tuple[str, Part]]:
    """Write a group in one transaction; one part after the other when one of them cannot be written as it is.

    So too within a unit of work, which is one transaction anyway.
    """
    to_write, unit = [part for part in group if _is_to_write(part, overwrite)], store.unit_of_work()
    if len(to_write) > 1 and not unit.is_part:
        with suppress(ConflictError, *REFUSALS):  # nothing was written
            with unit:
                for part in to_write:
                    write_part(store, part, actor)
            return [(outcome_of(part, overwrite=overwrite), part) for part in group]
    return [_apply_part(store, part, overwrite=overwrite, actor=actor, attempts=attempts) for part in group]


def _is_to_write(part: Part, overwrite: bool) -> bool:
    return outcome_of(part, overwrite=overwrite) not in KEPT


def one_entry(
    store: RuleStore,
    difference: Difference,
    writes: Difference,
    actor: str | None = None,
    about: Mapping[str, Any] | None = None,
) -> AbstractContextManager[None]:
    """Around the writes of a bulk load: one entry in the trail of loads, with the rule set's digest, and `about`."""
    if not writes.parts:
        return nullcontext()
    entities = [
        store.digests.of(part.mapper, entity) if is_sensitive(part.mapper, entity) else canonical(entity)
        for part in difference.parts
        for entity in part.wanted
    ]
    counts = Counter(entry.action.value for entry in writes.entries)
    details = {"rule_set": digest(entities), "entities": len(entities), "writes": dict(counts), **(about or {})}
    return store.audit.bulk_entry(LOADS, action="load", actor=actor, details=details)


def with_progress(parts: Iterable[Part], progress: Callable[[int], None] | None) -> Iterable[Part]:
    """Yields the parts; calls `progress` with each when the next one is requested."""
    for part in parts:
        yield part
        if progress is not None:
            progress(len(part.wanted) or len(part.stored))


def report(outcomes: Iterable[tuple[str, Part]]) -> LoadReport:
    """The entries of parts by what became of them."""
    found: dict[str, list[Entry]] = {field.name: [] for field in fields(LoadReport)}
    for name, part in outcomes:
        found[name] += part.entries
    return LoadReport(**{name: tuple(entries) for name, entries in found.items()})


def outcome_of(part: Part, *, overwrite: bool) -> str:
    """What loading would do with a part: the name of its place in a LoadReport."""
    if part.is_same:
        return "same"
    if not part.stored:
        return "added"
    if not part.wanted:
        return "removed"
    return "overwritten" if overwrite else "left_alone"


def to_write(difference: Difference, *, overwrite: bool) -> Difference:
    """The parts that loading would write."""
    return Difference(tuple(part for part in difference.parts if _is_to_write(part, overwrite)))


def _apply_part(
    store: RuleStore, part: Part, *, overwrite: bool, actor: str | None, attempts: int = ATTEMPTS
) -> tuple[str, Part]:
    """Write one part if that is called for; when somebody else was faster, look at it again."""
    reason = None
    for _ in range(attempts):
        outcome = outcome_of(part, overwrite=overwrite)
        if outcome in KEPT:
            return outcome, part
        try:
            write_part(store, part, actor)
        except ConflictError as error:
            reason = str(error)
            part = compare_part(store, part)
        else:
            return outcome, part
    others = "others keep writing it" if attempts > 1 else "somebody changed it meanwhile"
    raise ConflictError(f"{part.entries[0].key}: {others}; seed again when they are done ({reason})")


@without_locals
def write_part(store: RuleStore, part: Part, actor: str | None = None) -> None:
    """The wanted entities, each over the stored one it was compared with, so that its version is checked.

    `actor` is who writes, the setting's where none is given. Raises a ConflictError when the store is not as it was
    compared.
    """
    expected = None if part.stored else ABSENT
    if part.mapper.replaced_whole:
        first = (part.wanted or part.stored)[0]
        plan, freq = first.plan_id, first.pay_freq
        if part.wanted:
            store.pipelines.replace(plan, freq, _over(part), expected=expected, known=part.stored, actor=actor)
        else:
            store.pipelines.remove(plan, freq, known=part.stored, actor=actor)
        return
    repository = repositories(store)[part.mapper.name]
    for entity in _over(part):
        repository.put(entity, expected=expected, actor=actor)
    if not part.wanted:
        for entity in part.stored:
            repository.delete(entity, actor=actor)


def _over(part: Part) -> list[Any]:
    stored = {tuple(part.mapper.identity(entity).values()): entity for entity in part.stored}
    over = []
    for wanted in part.wanted:
        found = stored.get(tuple(part.mapper.identity(wanted).values()))
        over.append(wanted if found is None else found.model_copy(update=dict(wanted)))
    return over


__getattr__ = renamed(__name__, {"settle": f"{__name__}:apply_difference"})  # for one release
