"""Loading a rule set: what is missing is added; what differs is left alone unless it is to be overwritten."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bluestar_store.errors import AlreadyExistsError, ConflictError, VersionConflictError
from bluestar_store.models.pipeline import PIPELINE_STEP
from bluestar_store.protocols import ABSENT
from bluestar_store.seeding.compare import Entry, Part, Target, compare, compare_part, repositories
from bluestar_store.seeding.rule_set import RuleSet

ATTEMPTS = 5
"""Tries of one part that others change at the same time."""


@dataclass(frozen=True)
class LoadReport:
    """What became of each entity of the rule set (and of the steps that a pipeline has besides)."""

    added: tuple[Entry, ...]
    overwritten: tuple[Entry, ...]
    same: tuple[Entry, ...]
    left_alone: tuple[Entry, ...]


def load(
    store: Target,
    rule_set: RuleSet,
    *,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
) -> LoadReport:
    """Write what the store lacks, conditionally; returns what was done.

    An entity that exists and differs is left alone and reported, unless `overwrite`; its unknown attributes survive
    either way. A pipeline is taken as a whole. `progress` is told the number of entities just done. Loading again
    after a failure goes on where it stopped.
    """
    outcome: dict[str, list[Entry]] = {"added": [], "overwritten": [], "same": [], "left_alone": []}
    for part in compare(store, rule_set).parts:
        name, done = _settle(store, part, overwrite)
        outcome[name] += done.entries
        if progress is not None:
            progress(len(part.wanted))
    return LoadReport(**{name: tuple(entries) for name, entries in outcome.items()})


def _settle(store: Target, part: Part, overwrite: bool) -> tuple[str, Part]:
    """Write one part if that is called for; when somebody else was faster, look at it again."""
    for _ in range(ATTEMPTS):
        if part.is_same:
            return "same", part
        if part.stored and not overwrite:
            return "left_alone", part
        try:
            _write(store, part)
        except (AlreadyExistsError, VersionConflictError):
            part = compare_part(store, part)
        else:
            return ("overwritten" if part.stored else "added"), part
    raise ConflictError(f"{part.entries[0].key}: others keep writing it; seed again when they are done")


def _write(store: Target, part: Part) -> None:
    """The wanted entities, each over the stored one it was compared with, so that its version is checked."""
    stored = {_identity(part, entity): entity for entity in part.stored}
    over = [_over(stored.get(_identity(part, wanted)), wanted) for wanted in part.wanted]
    if part.kind is PIPELINE_STEP:
        first = over[0]
        store.pipelines.replace(first.plan_id, first.pay_freq, over, expected=None if part.stored else ABSENT)
    else:
        repository = repositories(store)[part.kind.name]
        repository.put(over[0], expected=None if part.stored else ABSENT)


def _identity(part: Part, entity: Any) -> tuple[Any, ...]:
    return tuple(part.kind.identity(entity).values())


def _over(stored: Any, wanted: Any) -> Any:
    return wanted if stored is None else stored.model_copy(update=dict(wanted))
