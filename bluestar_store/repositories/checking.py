"""Letting a unit of work depend on what it only read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from bluestar_store.engines.conditions import conflict
from bluestar_store.errors import ConflictError, InvalidEntityError, InvalidKeyError, InvalidWriteError
from bluestar_store.models.audit import CHAIN_HEAD
from bluestar_store.models.entity import Entity, PlanEntity
from bluestar_store.models.kind import Kind
from bluestar_store.models.pipeline import PIPELINE_STEP
from bluestar_store.protocols import ABSENT, Check, Fit, Fits, Item, key_of
from bluestar_store.repositories.access import Access
from bluestar_store.repositories.changes import as_read, check_as_read
from bluestar_store.repositories.moments import Part, read_levels
from bluestar_store.repositories.pipeline_head import COUNT, head_key
from bluestar_store.repositories.stored import current_item
from bluestar_store.repositories.transaction import Bookkeeping

_NO_STEPS = Fits((Fit(COUNT, "one of", ({"N": "0"},)),))
"""Of the head of a pipeline: the library has left no steps there."""


def check(access: Access, entities: Iterable[Entity]) -> None:
    """See `Store.check`."""
    if access.unit_here() is None:
        raise InvalidWriteError("check belongs to a unit of work: what it finds holds for that one's commit only")
    checked = [(_kind(access, entity), entity) for entity in entities]
    with access.unit() as unit:
        unit.bookkeep(partial(_insist, access, checked))


def _kind(access: Access, entity: Entity) -> Kind[Any]:
    for kind in access.tables.kinds:
        if type(entity) is kind.entity:
            return kind
    raise InvalidEntityError(f"{type(entity).__name__} is no entity of this Store")


def _insist(access: Access, checked: Sequence[tuple[Kind[Any], Entity]], unit: Bookkeeping) -> None:
    without_pipeline: dict[tuple[str, str], None] = {}
    for kind, entity in checked:
        key = kind.key(entity)
        if entity.origin is None or entity.origin.key != key:
            _insist_absent(access, kind, entity, unit)
            continue
        _insist_as_read(access, kind, entity.origin.wire, unit)
        plan_id = entity.inherited_by
        if plan_id is None or not isinstance(entity, PlanEntity):
            continue
        if kind is PIPELINE_STEP:
            without_pipeline[plan_id, kind.identity(entity)["pay_freq"]] = None
        else:
            _insist_absent(access, kind, entity.for_plan(plan_id), unit)
    for plan_id, pay_freq in without_pipeline:
        _insist_no_pipeline(access, plan_id, pay_freq, unit)


def _insist_as_read(access: Access, kind: Kind[Any], read: Item, unit: Bookkeeping) -> None:
    """Where the commit refused it, what is there is looked at, to tell who wrote it."""
    check = Check(access.table(kind), key_of(read), as_read(access, kind, read))
    if (check.table, check.key) in unit.refused:
        current = access.engine.get(check.table, [check.key], consistent=True).get(check.key)
        check_as_read(access, kind, read, current)
        if (error := conflict(check.table, check.key, check.expect, current)) is not None:
            raise error
    unit.keep(check)


def _insist_absent(access: Access, kind: Kind[Any], entity: Entity, unit: Bookkeeping) -> None:
    """Where the key has a number, which others may spell otherwise, no condition says all of it: it is looked for."""
    if kind.keys.sort.numbers:
        unit.looks = True
        if (found := current_item(access, kind, entity)) is not None:
            raise _is_there(access, kind, found)
    table = access.table(kind)
    unit.insist(*(Check(table, key, ABSENT) for key in kind.keys.spellings(kind.identity(entity))))


def _insist_no_pipeline(access: Access, plan_id: str, pay_freq: str, unit: Bookkeeping) -> None:
    """The plan has no step of its own; what the library writes changes the pipeline's head, others' has to be seen."""
    pk = PIPELINE_STEP.keys.partition({"plan_id": plan_id, "pay_freq": pay_freq})
    unit.looks = True
    part = Part(access.table(PIPELINE_STEP), pk, PIPELINE_STEP.keys.sort.prefix)
    for item in filter(PIPELINE_STEP.owns, read_levels(access, [plan_id], [part])[part]):
        raise _is_there(access, PIPELINE_STEP, item)
    with suppress(InvalidKeyError):  # of a pipeline whose key is too long for a head the library writes none
        unit.insist(Check(access.table(CHAIN_HEAD), head_key(pk), _NO_STEPS))


def _is_there(access: Access, kind: Kind[Any], item: Item) -> ConflictError:
    error = conflict(access.table(kind), key_of(item), ABSENT, item)
    assert error is not None  # noqa: S101  # there is an item
    return error
