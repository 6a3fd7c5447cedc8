"""Comparing a rule set with what a store has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import TracebackType
from typing import Any, Protocol, TypeVar

from bluestar_store.clock import Clock
from bluestar_store.errors import InvalidEntityError, ItemDecodeError, PipelineChangingError
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.mapping.salvage import stand_ins
from bluestar_store.mapping.values import plain_value
from bluestar_store.models.pipeline import PIPELINE_STEP, PipelineStep
from bluestar_store.models.tables import Tables
from bluestar_store.protocols import VERSION, Engine, Item
from bluestar_store.redaction.tracebacks import without_locals
from bluestar_store.repositories.audit import AuditRepository
from bluestar_store.repositories.base import Repository
from bluestar_store.repositories.catalog import level_of
from bluestar_store.repositories.digests import Digests
from bluestar_store.repositories.pipelines import PipelineRepository
from bluestar_store.rulesets.reading import RuleSet
from bluestar_store.settings import Settings
from bluestar_store.threads import side_by_side

E = TypeVar("E", bound=Entity)


class RuleUnitOfWork(Protocol):
    """A unit of work."""

    @property
    def is_part(self) -> bool: ...
    def __enter__(self) -> Any: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


class RuleStore(Protocol):
    """The part of a Store that rule sets use."""

    @property
    def settings(self) -> Settings: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def engine(self) -> Engine: ...
    @property
    def pipelines(self) -> PipelineRepository: ...
    @property
    def audit(self) -> AuditRepository: ...
    @property
    def tables(self) -> Tables: ...
    @property
    def digests(self) -> Digests: ...
    def repository(self, mapper: Mapper[E]) -> Repository[E]: ...
    def at_level(self, level: str, *, without_lost: bool = False) -> tuple[Entity, ...]: ...
    def encrypted(self, mapper: Mapper[Any], item: Item) -> Item: ...
    def decrypted(self, mapper: Mapper[Any], item: Item) -> Item: ...
    def unit_of_work(self) -> RuleUnitOfWork: ...


class Action(StrEnum):
    """The change that would bring the store to the rule set."""

    ADD = "add"
    CHANGE = "change"
    REMOVE = "remove"
    SAME = "same"


@dataclass(frozen=True)
class Change:
    """One attribute (by its field name) that differs: what the store has, what the rule set says. None: no value.

    What the store has and cannot be read is UNREADABLE, or DROPPED: see `mapping.salvage`.
    """

    attribute: str
    old: object
    new: object


@dataclass(frozen=True)
class Entry:
    """One entity of a rule set beside the store's. `level` is a plan, GLOBAL or DEFAULT."""

    kind: str
    key: str
    level: str
    action: Action
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class Part:
    """What is written together: a whole pipeline, or one other entity."""

    mapper: Mapper[Any]
    wanted: tuple[Any, ...]
    stored: tuple[Any, ...]
    entries: tuple[Entry, ...]

    @property
    def is_same(self) -> bool:
        """Whether there is nothing to do."""
        return all(entry.action is Action.SAME for entry in self.entries)


@dataclass(frozen=True)
class Difference:
    """A rule set beside a store, part by part, in the order of the rule set."""

    parts: tuple[Part, ...]

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Every entity, in order."""
        return tuple(entry for part in self.parts for entry in part.entries)

    def __bool__(self) -> bool:
        return not all(part.is_same for part in self.parts)


@without_locals
def compare(store: RuleStore, rule_set: RuleSet, *, prune: bool = False) -> Difference:
    """What differs between a rule set and the store, read consistently. Writes nothing.

    With `prune`, what the store has besides is to be removed, for the kinds and levels that the rule set names: a
    rule set with GLOBAL calculation rules says nothing of a plan's own, nor of GLOBAL validation rules. Without it,
    the other steps of a pipeline that the rule set names are all that is looked at. What is stored and cannot be read
    differs. Raises ItemDecodeError for two items of one number, and for one that cannot be read in a level to prune;
    EncryptedValueError for one that cannot be read here, unless its key was dropped.
    """
    _check_known(store, rule_set)
    pipelines = _pipelines(rule_set.of(PIPELINE_STEP))
    parts = list(
        side_by_side(
            store.engine.parallel_calls,
            lambda pipeline: pipeline_part(store, *pipeline, pipelines[pipeline]),
            list(pipelines),
        )
    )
    for repository in repositories(store).values():
        mapper = repository.mapper
        entities = rule_set.of(mapper)
        stored = repository.current(entities, salvage=True)
        parts += [
            part_of(mapper, entity, stored.get(mapper.keys.build(mapper.identity(entity)))) for entity in entities
        ]
    if prune:
        parts += _surplus(store, rule_set)
    return Difference(tuple(parts))


def _check_known(store: RuleStore, rule_set: RuleSet) -> None:
    """A configuration without the fields that this store's have would seem to take them away, or lose its own."""
    known = {mapper.entity for mapper in store.tables.kinds if mapper.rule_list}
    if strange := sorted({type(entity).__name__ for entity in rule_set.entities if type(entity) not in known}):
        raise InvalidEntityError(
            f"this Store keeps no {', '.join(strange)} as they are in the rule set: read it with "
            "read(folder, store.tables.kinds), or baseline(store.tables.kinds)"
        )


@without_locals
def compare_part(store: RuleStore, part: Part) -> Part:
    """The part again, as the store has it now."""
    named = part.wanted or part.stored
    if part.mapper.replaced_whole:
        return pipeline_part(store, named[0].plan_id, named[0].pay_freq, part.wanted)
    stored = repositories(store)[part.mapper.name].current(named, salvage=True)
    return part_of(part.mapper, next(iter(part.wanted), None), next(iter(stored.values()), None))


def repositories(store: RuleStore) -> Mapping[str, Repository[Any]]:
    """Where the entities of a rule set live, pipelines apart, by the kind's name, in the order of its files."""
    kinds = [mapper for mapper in store.tables.kinds if mapper.rule_list and not mapper.replaced_whole]
    return {mapper.name: store.repository(mapper) for mapper in kinds}


def _pipelines(steps: Iterable[PipelineStep]) -> Mapping[tuple[str, str], tuple[PipelineStep, ...]]:
    """Steps by plan and pay frequency, in step order."""
    pipelines: dict[tuple[str, str], list[PipelineStep]] = {}
    for step in steps:
        pipelines.setdefault((step.plan_id, step.pay_freq), []).append(step)
    return {name: tuple(sorted(found, key=lambda step: step.step_order)) for name, found in pipelines.items()}


def pipeline_part(store: RuleStore, plan_id: str, pay_freq: str, wanted: tuple[PipelineStep, ...]) -> Part:
    """A whole pipeline beside the store's own at that level, read consistently; none wanted: it is to be removed."""
    damaged = False
    try:
        stored = store.pipelines.steps(plan_id, pay_freq, fallback=False, fresh=True)
    except (PipelineChangingError, ItemDecodeError):  # damaged: what is compared here can mend it
        stored, damaged = store.pipelines.stored_steps(plan_id, pay_freq), True
    by_number = {step.step_order: step for step in stored}
    entries = [_entry(PIPELINE_STEP, step, by_number.pop(step.step_order, None)) for step in wanted]
    entries += [_entry(PIPELINE_STEP, None, step) for step in by_number.values()]
    if damaged:  # what is left reads alike, and nobody can read it until it is written again
        entries = [replace(entry, action=Action.CHANGE) if entry.action is Action.SAME else entry for entry in entries]
    return Part(PIPELINE_STEP, wanted, stored, tuple(entries))


def part_of(mapper: Mapper[Any], wanted: Entity | None, stored: Entity | None) -> Part:
    """One entity that is wanted beside the stored one; None wanted: it is to be removed."""
    entries = (_entry(mapper, wanted, stored),) if wanted or stored else ()
    return Part(mapper, (wanted,) if wanted else (), (stored,) if stored else (), entries)


def _surplus(store: RuleStore, rule_set: RuleSet) -> list[Part]:
    """What the store has besides the rule set, of the kinds and levels that it names."""
    kinds = [mapper for mapper in store.tables.kinds if mapper.rule_list]
    named = {mapper.name: {level_of(entity) for entity in rule_set.of(mapper)} for mapper in kinds}
    wanted = {
        (mapper.name, mapper.keys.build(mapper.identity(entity))) for mapper in kinds for entity in rule_set.of(mapper)
    }
    pipelines = _pipelines(rule_set.of(PIPELINE_STEP))
    parts = []
    for level in sorted(set().union(*named.values())):
        stored = RuleSet(store.at_level(level, without_lost=True))
        for mapper in kinds:
            if level not in named[mapper.name]:
                continue
            found = stored.of(mapper)
            if mapper.replaced_whole:
                surplus = [name for name in _pipelines(found) if name not in pipelines]
                parts += [pipeline_part(store, *name, ()) for name in surplus]
            else:
                parts += [
                    part_of(mapper, None, entity)
                    for entity in found
                    if (mapper.name, mapper.keys.build(mapper.identity(entity))) not in wanted
                ]
    return parts


def _entry(mapper: Mapper[Any], wanted: Any, stored: Any) -> Entry:
    one = wanted if wanted is not None else stored
    key = mapper.keys.build(mapper.identity(one))
    broken = stand_ins(stored)
    changes = tuple(
        Change(name, broken.get(attribute.attr_name) or getattr(stored, name, None), new)
        for name, attribute in mapper.attributes.items()
        for new in (getattr(wanted, name, None),)
        # True is not 1
        if attribute.attr_name in broken or plain_value(getattr(stored, name, None)) != plain_value(new)
    )
    if VERSION in broken:
        changes += (Change(VERSION, broken[VERSION], None),)
    if stored is None:
        action = Action.ADD
    elif wanted is None:
        action = Action.REMOVE
    else:
        action = Action.CHANGE if changes else Action.SAME
    return Entry(mapper.name, f"{key.pk} {key.sk}", level_of(one), action, changes)
