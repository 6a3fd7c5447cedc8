"""What two plans effectively have different, whatever level each of their rules comes from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeAlias, TypeVar

from bluestar_store.keys import check_plan
from bluestar_store.mapping.entity import Entity, PlanEntity
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.mapping.salvage import DROPPED
from bluestar_store.mapping.values import plain_value
from bluestar_store.models.pipeline import PipelineStep
from bluestar_store.models.tables import Tables
from bluestar_store.redaction.tracebacks import without_locals
from bluestar_store.repositories.base import Repository
from bluestar_store.rulesets.comparing import Change

C = TypeVar("C", bound=PlanEntity)
E = TypeVar("E", bound=Entity)
Place: TypeAlias = tuple[Any, ...]


class Effective(Protocol):
    """What answers for a kind: its repository, or the attribute of the Store that owns it."""

    def effective(self, plan_id: str, like: Iterable[Any]) -> Iterable[Any]: ...


class Plans(Protocol):
    """The part of a Store that comparing plans uses."""

    @property
    def tables(self) -> Tables: ...
    def repository(self, mapper: Mapper[E]) -> Repository[E]: ...
    def at_level(self, level: str, *, without_lost: bool = False) -> tuple[Entity, ...]: ...


@dataclass(frozen=True)
class PlanDifference:
    """One rule, step or configuration as it applies to one plan and to another: None where it does not apply.

    `item` is its identity but for the plan; a step is known by its subroutine, so that one more step in between does
    not make all that follow differ. In `changes`, `old` is the one plan's value and `new` the other's.
    """

    kind: str
    item: Mapping[str, Any]
    one: PlanEntity | None
    other: PlanEntity | None
    changes: tuple[Change, ...]


@without_locals
def diff_plans(store: Plans, one: str, other: str) -> tuple[PlanDifference, ...]:
    """What applies to two plans differently: rules, pipelines, configurations and users' own, read consistently.

    Users' own entities count as the library's do: the plan's own, else that of the level that its key names. Only what
    at least one of them overrides can differ, so other categories and pay frequencies are not read. Raises
    InvalidKeyError.
    """
    kinds = sorted((mapper for mapper in store.tables.kinds if mapper.is_of_plans), key=lambda one: one.diff_rank)
    own = [entity for plan in (one, other) for entity in store.at_level(check_plan(plan), without_lost=True)]
    left, right = (_by_item(kinds, _effective(store, plan, kinds, own)) for plan in (one, other))
    found = []
    for place in left.keys() | right.keys():
        pair = left.get(place), right.get(place)
        kind, item = place[0], dict(place[1:])
        changes = attribute_changes(*pair, left_out=("plan_id", *item))
        if changes:
            found.append(PlanDifference(kind, item, *pair, changes))
    return tuple(sorted(found, key=partial(_order, kinds)))


def attribute_changes(
    one: PlanEntity | None, other: PlanEntity | None, *, left_out: Collection[str]
) -> tuple[Change, ...]:
    """The attributes that differ, unknown ones too."""
    entities = [entity for entity in (one, other) if entity is not None]
    names = dict.fromkeys(name for entity in entities for name in (*type(entity).model_fields, *entity.extra))
    values = [(name, *(_attribute(entity, name) for entity in (one, other))) for name in names if name not in left_out]
    return tuple(
        Change(name, old, new)
        for name, old, new in values
        if plain_value(old) != plain_value(new) or (old == new == DROPPED and one is not other)  # nobody can tell
    )


def _attribute(entity: PlanEntity | None, name: str) -> Any:
    if entity is None:
        return None
    if name in entity.unreadable:
        return DROPPED
    return getattr(entity, name) if name in type(entity).model_fields else entity.extra.get(name)


def _effective(
    store: Plans, plan_id: str, kinds: Iterable[Mapper[Any]], overriding: Iterable[Entity]
) -> Iterator[PlanEntity]:
    """What applies to a plan of what is overridden, kind by kind."""
    entities = list(overriding)
    for mapper in kinds:
        if like := [entity for entity in entities if type(entity) is mapper.entity]:
            reader: Effective = getattr(store, mapper.owner) if mapper.owner else store.repository(mapper)
            yield from reader.effective(plan_id, like)


def _by_item(kinds: Sequence[Mapper[Any]], entities: Iterable[PlanEntity]) -> dict[Place, PlanEntity]:
    found = list(entities)
    names = Counter((one.pay_freq, one.subroutine_name) for one in found if isinstance(one, PipelineStep))
    return {_place(kinds, one, names): one for one in found}


def _place(kinds: Sequence[Mapper[Any]], entity: PlanEntity, names: Mapping[tuple[str, str | None], int]) -> Place:
    """The kind and the identity but for the plan; of a step whose subroutine says which it is, by that."""
    mapper = _kind(kinds, entity)
    fields = [name for name in mapper.keys.fields if name != "plan_id"]
    if (
        isinstance(entity, PipelineStep)
        and entity.subroutine_name
        and names[entity.pay_freq, entity.subroutine_name] == 1
    ):
        fields = ["pay_freq", "subroutine_name"]
    return (mapper.name, *((name, getattr(entity, name)) for name in fields))


def _kind(kinds: Sequence[Mapper[Any]], entity: PlanEntity) -> Mapper[Any]:
    return next(mapper for mapper in kinds if isinstance(entity, mapper.entity))


def _order(kinds: Sequence[Mapper[Any]], difference: PlanDifference) -> tuple[Any, ...]:
    """By kind, then by identity: steps by number, the one plan's first."""
    entity = difference.one or difference.other
    assert entity is not None  # noqa: S101  # what neither has is no difference
    mapper = _kind(kinds, entity)
    identity = [value for name, value in mapper.identity(entity).items() if name != "plan_id"]
    return (kinds.index(mapper), *identity, difference.one is None)
