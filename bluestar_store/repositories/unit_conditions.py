"""Makes items that a unit of work only read conditions of its transaction (`uow.check`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from bluestar_store.engines.conditions import conflict
from bluestar_store.errors import ConflictError, InvalidEntityError, InvalidKeyError, InvalidWriteError
from bluestar_store.mapping.entity import Entity, PlanEntity
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.models.audit import CHAIN_HEAD
from bluestar_store.models.pipeline import PIPELINE_STEP
from bluestar_store.protocols import ABSENT, Check, Fit, Fits, Item, key_of
from bluestar_store.repositories.changes import as_read, check_as_read
from bluestar_store.repositories.moments import KeyRange, read_levels
from bluestar_store.repositories.session import Session
from bluestar_store.repositories.stored_items import current_item
from bluestar_store.repositories.trail import STEP_COUNT, pipeline_head_key
from bluestar_store.repositories.transaction import StagedWrites

_NO_STEPS = Fits((Fit(STEP_COUNT, "one of", ({"N": "0"},)),))
"""Of the head of a pipeline: the library has left no steps there."""


def check(session: Session, entities: Iterable[Entity]) -> None:
    """See `Store.check`."""
    if session.transaction is None:
        raise InvalidWriteError("check belongs to a unit of work: what it finds holds for that one's commit only")
    checked = [(_kind(session, entity), entity) for entity in entities]
    session.run_step(partial(_expect, checked=checked))


def _kind(session: Session, entity: Entity) -> Mapper[Any]:
    for mapper in session.tables.kinds:
        if type(entity) is mapper.entity:
            return mapper
    raise InvalidEntityError(f"{type(entity).__name__} is no entity of this Store")


def _expect(session: Session, staged: StagedWrites, checked: Sequence[tuple[Mapper[Any], Entity]]) -> None:
    without_pipeline: dict[tuple[str, str], None] = {}
    for mapper, entity in checked:
        key = mapper.key(entity)
        if entity.origin is None or entity.origin.key != key:
            _expect_absent(session, mapper, entity, staged)
            continue
        _expect_as_read(session, mapper, entity.origin.wire, staged)
        plan_id = entity.inherited_by
        if plan_id is None or not isinstance(entity, PlanEntity):
            continue
        if mapper.replaced_whole:
            without_pipeline[plan_id, mapper.identity(entity)["pay_freq"]] = None
        else:
            _expect_absent(session, mapper, entity.for_plan(plan_id), staged)
    for plan_id, pay_freq in without_pipeline:
        _expect_no_pipeline(session, plan_id, pay_freq, staged)


def _expect_as_read(session: Session, mapper: Mapper[Any], read: Item, staged: StagedWrites) -> None:
    """Where the commit refused it, what is there is looked at, to tell who wrote it."""
    check = Check(session.table(mapper), key_of(read), as_read(mapper, read))
    if (check.table, check.key) in staged.refused:
        current = session.engine.get(check.table, [check.key], consistent=True).get(check.key)
        check_as_read(session, mapper, read, current)
        if (error := conflict(check.table, check.key, check.expect, current)) is not None:
            raise error
    staged.stage_retryable(check)


def _expect_absent(session: Session, mapper: Mapper[Any], entity: Entity, staged: StagedWrites) -> None:
    """Where the key has a number, which others may spell otherwise, no condition says all of it: it is looked for."""
    if mapper.keys.sort.numbers:
        staged.rerun_before_commit = True
        if (found := current_item(session, mapper, entity)) is not None:
            raise _is_there(session, mapper, found)
    table = session.table(mapper)
    staged.stage_strict(*(Check(table, key, ABSENT) for key in mapper.keys.spellings(mapper.identity(entity))))


def _expect_no_pipeline(session: Session, plan_id: str, pay_freq: str, staged: StagedWrites) -> None:
    """The plan has no step of its own; what the library writes changes the pipeline's head, others' has to be seen."""
    pk = PIPELINE_STEP.keys.partition({"plan_id": plan_id, "pay_freq": pay_freq})
    staged.rerun_before_commit = True
    part = KeyRange(session.table(PIPELINE_STEP), pk, PIPELINE_STEP.keys.sort.prefix)
    for item in filter(PIPELINE_STEP.owns, read_levels(session, [plan_id], [part])[part]):
        raise _is_there(session, PIPELINE_STEP, item)
    with suppress(InvalidKeyError):  # of a pipeline whose key is too long for a head the library writes none
        staged.stage_strict(Check(session.table(CHAIN_HEAD), pipeline_head_key(pk), _NO_STEPS))


def _is_there(session: Session, mapper: Mapper[Any], item: Item) -> ConflictError:
    error = conflict(session.table(mapper), key_of(item), ABSENT, item)
    assert error is not None  # noqa: S101  # there is an item
    return error
