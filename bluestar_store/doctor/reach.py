"""Items that no plan can reach. A rule that is switched off, or that waits for its plan, is no finding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bluestar_store.doctor.findings import Finding, Severity
from bluestar_store.doctor.reading import Seen
from bluestar_store.errors import AccessDeniedError, InvalidKeyError, TableMissingError
from bluestar_store.keys import DEFAULT
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.models.batches import BatchState
from bluestar_store.models.config import AchConfig, ClientConfig
from bluestar_store.models.limits import IrsLimits
from bluestar_store.models.pipeline import PIPELINE_STEP
from bluestar_store.models.vendor import VendorSchema
from bluestar_store.repositories.session import Session

CHECK = "unreachable"


def check(session: Session, page: Sequence[Seen]) -> Iterator[Finding]:
    """A finding for each item that no call of the library gives to a plan."""
    pipelines: dict[tuple[str, str], bool] = {}
    for one in page:
        if isinstance(one.entity, IrsLimits) and one.mapper is not None:
            yield from _limits(one, one.mapper)
        elif isinstance(one.entity, VendorSchema | BatchState):
            yield from _owner(one, one.entity)
        elif isinstance(one.entity, ClientConfig | AchConfig):
            yield from _config(session, one, one.entity, pipelines)


def _limits(one: Seen, mapper: Mapper[Any]) -> Iterator[Finding]:
    """Limits are asked for by key, and so found under the library's spelling of the year only."""
    built = mapper.keys.partition(one.identity)
    if built != one.key.pk:
        what = f"limits are looked up under PK={built}: nobody gets these"
        yield one.finding(Severity.WARNING, CHECK, what, f"write them to PK={built}, then delete this item")


def _owner(one: Seen, entity: VendorSchema | BatchState) -> Iterator[Finding]:
    """Both name their plan in an attribute, which another program may set to what is no plan."""
    try:
        if one.mapper is not None:
            one.mapper.index_of(entity)
    except InvalidKeyError as error:
        what = f"{error}: no question about a plan finds it"
        yield one.finding(Severity.WARNING, CHECK, what, "set plan_id to the plan that is meant, or remove it")


def _config(
    session: Session, one: Seen, config: ClientConfig | AchConfig, known: dict[tuple[str, str], bool]
) -> Iterator[Finding]:
    """A plan's own configuration needs a pipeline of its frequency, the plan's or DEFAULT's."""
    levels = (DEFAULT, config.plan_id)
    if config.plan_id == DEFAULT or any(_has_pipeline(session, level, config.pay_freq, known) for level in levels):
        return
    what = f"there is no pipeline for {config.pay_freq}, neither {config.plan_id}'s nor DEFAULT's: no batch uses it"
    mend = (
        f"correct the frequency, or write a pipeline: bluestar-store pipeline replace {config.plan_id} "
        f"{config.pay_freq} FILE"
    )
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
