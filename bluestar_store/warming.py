"""Warming the cache: reading what agents are about to read, so that the second tier has it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial

from bluestar_store.errors import EncryptedValueError, NotFoundError
from bluestar_store.keys import DEFAULT, GLOBAL
from bluestar_store.models.config import AchConfig, ClientConfig
from bluestar_store.models.pipeline import PipelineStep
from bluestar_store.redaction.tracebacks import without_locals
from bluestar_store.repositories.base import Repository
from bluestar_store.store import Store


@without_locals
def warm(store: Store, plan_ids: Iterable[str] | None = None, *, progress: Callable[[int], None] | None = None) -> int:
    """Read what applies to some plans (None: to every plan) through the cache; how many reads that was.

    Their rules by type and all at once, validation rules by category, pipelines and configurations by pay frequency,
    what a plan or DEFAULT has of other kinds, and the limits of every year. An item that cannot be read raises as it
    would for an agent; one whose key was dropped is passed over: no agent can read it either.
    """
    count = 0
    for plan_id in store.plans() if plan_ids is None else plan_ids:
        for read in _reads(store, plan_id):
            with suppress(NotFoundError):
                _read(read)
            count += 1
            if progress is not None:
                progress(1)
    return count


def _read(read: Callable[[], object]) -> None:
    try:
        read()
    except EncryptedValueError as error:
        if not error.is_lost:
            raise


def _reads(store: Store, plan_id: str) -> Iterator[Callable[[], object]]:
    entities = [entity for level in (plan_id, DEFAULT) for entity in store.at_level(level, without_lost=True)]
    by_frequency = (PipelineStep, ClientConfig, AchConfig)
    for pay_freq in sorted({entity.pay_freq for entity in entities if isinstance(entity, by_frequency)}):
        yield partial(store.pipelines.steps, plan_id, pay_freq)
        yield partial(store.client_configs.get, plan_id, pay_freq)
        yield partial(store.ach_configs.get, plan_id, pay_freq)
    for calc_type in {**store.calculation_rules.all(GLOBAL), **store.calculation_rules.all(plan_id)}:
        yield partial(store.calculation_rules.get, plan_id, calc_type)
    for category in store.categories():
        yield partial(store.validation_rules.for_category, category, plan_id)
    for mapper in store.tables.kinds:
        if mapper.is_of_plans and mapper.cached and mapper.owner is None:
            repository = store.repository(mapper)
            if type(repository) is Repository:  # of no questions of its own
                named = [entity for entity in entities if type(entity) is mapper.entity]
                yield from (partial(repository.first, *repository.levels(plan_id, one), fresh=False) for one in named)
    for limits in store.irs_limits.all():
        yield partial(store.irs_limits.get, limits.year)
