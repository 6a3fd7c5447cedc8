"""Items that no plan can reach. A rule that is switched off, or that waits for its plan, is no finding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bluestar_store.doctor.findings import Finding, Severity
from bluestar_store.doctor.reading import Seen
from bluestar_store.errors import AccessDeniedError, InvalidKeyError, TableMissingError
from bluestar_store.keys import DEFAULT
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.models.pipeline import PIPELINE_STEP
from bluestar_store.repositories.session import Session

CHECK = "unreachable"


def check(session: Session, page: Sequence[Seen]) -> Iterator[Finding]:
    """A finding for each item that no call of the library gives to a plan."""
    pipelines: dict[tuple[str, str], bool] = {}
    for one in page:
        mapper, entity = one.mapper, one.entity
        if mapper is None or not isinstance(entity, Entity):
            continue
        fields = mapper.keys.fields
        if mapper.keys.numbers & set(mapper.partition_fields):
            yield from _partition(one, mapper)
        if "plan_id" not in fields:
            yield from _owner(one, mapper, entity)
        if {"plan_id", "pay_freq"} <= set(fields) and not mapper.replaced_whole:
            yield from _frequency(session, one, pipelines)


def _partition(one: Seen, mapper: Mapper[Any]) -> Iterator[Finding]:
    """Items are asked for by key, and so found under the library's spelling of a number only."""
    built = mapper.keys.partition(one.identity)
    if built != one.key.pk:
        what = f"{mapper.name} is looked up under PK={built}: nobody gets this one"
        yield one.finding(Severity.WARNING, CHECK, what, f"write it to PK={built}, then delete this item")


def _owner(one: Seen, mapper: Mapper[Any], entity: Entity) -> Iterator[Finding]:
    """Some name their plan in an attribute, which another program may set to what is no plan."""
    try:
        mapper.index_of(entity)
    except InvalidKeyError as error:
        what = f"{error}: no question about a plan finds it"
        yield one.finding(Severity.WARNING, CHECK, what, "set plan_id to the plan that is meant, or remove it")


def _frequency(session: Session, one: Seen, known: dict[tuple[str, str], bool]) -> Iterator[Finding]:
    """What a plan has for a pay frequency needs a pipeline of its frequency, the plan's or DEFAULT's."""
    plan_id, pay_freq = one.identity["plan_id"], one.identity["pay_freq"]
    if plan_id == DEFAULT or any(_has_pipeline(session, level, pay_freq, known) for level in (DEFAULT, plan_id)):
        return
    what = f"there is no pipeline for {pay_freq}, neither {plan_id}'s nor DEFAULT's: no batch uses it"
    mend = f"correct the frequency, or write a pipeline: bluestar-store pipeline replace {plan_id} {pay_freq} FILE"
    yield one.finding(Severity.WARNING, CHECK, what, mend)


def _has_pipeline(session: Session, level: str, pay_freq: str, known: dict[tuple[str, str], bool]) -> bool:
    """Whether there is one; also where that cannot be found out, for then other findings say why."""
    if (level, pay_freq) not in known:
        pk = PIPELINE_STEP.keys.partition({"plan_id": level, "pay_freq": pay_freq})
        try:
            prefix = PIPELINE_STEP.keys.sort.prefix
            page = session.engine.query(session.table(PIPELINE_STEP), pk, prefix, limit=1, consistent=True)
            known[level, pay_freq] = bool(page.items)
        except (TableMissingError, AccessDeniedError):
            known[level, pay_freq] = True
    return known[level, pay_freq]
