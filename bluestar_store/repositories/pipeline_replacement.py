"""Writing a whole pipeline: one transaction, seen by every reader whole or not at all."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence

from bluestar_store.errors import AlreadyExistsError, ConflictError, InvalidEntityError
from bluestar_store.models.audit import CHAIN_HEAD
from bluestar_store.models.pipeline import PIPELINE_STEP, REVISION, PipelineStep
from bluestar_store.protocols import ABSENT, AttributeValue, Delete, Item, Update, Write, key_of
from bluestar_store.repositories.changes import (
    PutExpectation,
    as_read,
    change_over,
    check_as_read,
    check_new,
    item_version,
    refuse_inherited,
)
from bluestar_store.repositories.moments import KeyRange, read_parts
from bluestar_store.repositories.session import Session, StoreParts
from bluestar_store.repositories.sessions import Sessions
from bluestar_store.repositories.stored_items import ambiguous
from bluestar_store.repositories.trail import pipeline_head_key, pipeline_head_write, record_replacement
from bluestar_store.repositories.transaction import StagedWrites

MAX_STEPS = 98
"""Steps before and after a replacement together: a transaction takes 100 writes, two are the trail's head and entry."""

KIND = PIPELINE_STEP


def validated_steps(
    parts: StoreParts, plan_id: str, pay_freq: str, steps: Iterable[PipelineStep]
) -> dict[int, PipelineStep]:
    """The steps by number, each of this pipeline and given once. Raises InheritedRuleError, InvalidEntityError.

    Steps that were inherited are DEFAULT's, to whom who says so in the call may give them.
    """
    wanted: dict[int, PipelineStep] = {}
    for given in steps:
        if given.plan_id != plan_id:
            refuse_inherited(parts, KIND, given)
        step = KIND.validated(given)
        if (step.plan_id, step.pay_freq) != (plan_id, pay_freq):
            raise InvalidEntityError(
                f"step {step.step_order} is of {step.plan_id!r}, {step.pay_freq!r}, not of {plan_id!r}, {pay_freq!r}"
            )
        if step.step_order in wanted:
            raise InvalidEntityError(f"step {step.step_order} is given twice")
        wanted[step.step_order] = step
    return wanted


def replace_steps(
    sessions: Sessions,
    actor: str | None,
    pk: str,
    wanted: Mapping[int, PipelineStep],
    expected: PutExpectation = None,
    known: Sequence[PipelineStep] = (),
) -> list[Item]:
    """Make these the steps of the partition (none: empty it); the items as stored.

    Done again with what is there by then when others replace the same pipeline at the same time.
    """
    made: list[list[Item]] = []
    alone = sessions.unit_here() is None

    def replace(session: Session, staged: StagedWrites) -> None:
        head, items = _current(session, pk)
        if expected is ABSENT and items:
            raise AlreadyExistsError(f"{session.table(KIND)}: a pipeline {pk} exists already")
        _check_unchanged(session, known or wanted.values(), items)
        if not known:
            for item in items.values():
                item_version(session, KIND, item)
        if known and len(known) != len(items):
            raise ConflictError(f"{session.table(KIND)}: {pk} has {len(items)} steps, {len(known)} when it was read")
        if len(wanted.keys() | items.keys()) > MAX_STEPS:
            raise InvalidEntityError(
                f"more than {MAX_STEPS} steps before and after: too many for one transaction "
                "(an AWS limit); of steps that another program added, delete some first"
            )
        made.clear()
        if alone and items and not _is_stamped(items.values()):
            # Steps of other programs do not show a reader that they are being taken away: first give them a revision,
            # in a transaction before this one.
            staged.stage_retryable(
                pipeline_head_write(session, pk, head, len(items)), *_stamps(session, items.values())
            )
            return
        own = _bookkeeping(len(wanted))
        if wanted and not items:
            check_new(KIND, next(iter(wanted.values())))
        changes = [change_over(session, KIND, wanted[n], items.get(n), own) for n in sorted(wanted)]
        gone = [item for number, item in items.items() if number not in wanted]
        deletes = [Delete(session.table(KIND), key_of(item), as_read(KIND, item)) for item in gone]
        made.append([change.after for change in changes])
        if changes or deletes or head is not None:  # the head of an emptied pipeline has to say so
            staged.stage_retryable(
                pipeline_head_write(session, pk, head, len(wanted)), *(change.write for change in changes), *deletes
            )
            if session.records:
                record_replacement(session, KIND, pk, list(items.values()), made[0], staged)

    while not made:
        with sessions.unit(actor) as session:
            session.run_step(replace)
    return made[0]


def _current(session: Session, pk: str) -> tuple[Item | None, dict[int, Item]]:
    """The trail's head, and the stored steps by number, as of one moment."""
    table, level = session.table(KIND), str((KIND.keys.partition_identity(pk) or {})["plan_id"])
    part, head = KeyRange(table, pk, KIND.keys.sort.prefix), (session.table(CHAIN_HEAD), pipeline_head_key(pk))
    found = read_parts(session, [session.revisions.of_level(level)], [part], beside=[head])
    items: dict[int, Item] = {}
    for item in found[part]:
        identity = KIND.keys.parse(key_of(item))
        number = identity["step_order"] if identity else KIND.decode(item, table).step_order
        if number in items:
            raise ambiguous(table, key_of(items[number]), key_of(item))
        items[number] = item
    return found.beside.get(head), items


def _check_unchanged(session: Session, steps: Iterable[PipelineStep], items: Mapping[int, Item]) -> None:
    """VersionConflictError when a step that was read from this pipeline is not the one that was read."""
    for step in steps:
        if step.origin is not None and KIND.key(step) == step.origin.key:
            check_as_read(session, KIND, step.origin.wire, items.get(step.step_order))


def _bookkeeping(count: int) -> dict[str, AttributeValue]:
    return {REVISION: {"S": uuid.uuid4().hex}, "bs_steps": {"N": str(count)}}


def _is_stamped(items: Iterable[Item]) -> bool:
    found = [(item.get(REVISION), item.get("bs_steps")) for item in items]
    return all(one == found[0] for one in found) and found[0] != (None, None)


def _stamps(session: Session, items: Iterable[Item]) -> list[Write]:
    """Updates that give the items one revision. Their version stays: what they say is unchanged."""
    stored = list(items)
    own = _bookkeeping(len(stored))
    return [Update(session.table(KIND), key_of(item), own, expect=as_read(KIND, item)) for item in stored]
