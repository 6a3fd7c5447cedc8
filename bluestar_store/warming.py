"""Warming the cache: reading what agents are about to read, so that the second tier has it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from bluestar_store.errors import EncryptedValueError, NotFoundError
from bluestar_store.keys import DEFAULT, GLOBAL
from bluestar_store.mapping.entity import Entity
from bluestar_store.redaction.tracebacks import without_locals
from bluestar_store.repositories.base import Reader
from bluestar_store.store import Store


@without_locals
def warm(store: Store, plan_ids: Iterable[str] | None = None, *, progress: Callable[[int], None] | None = None) -> int:
    """Read what applies to some plans (None: to every plan) through the cache; how many reads that was.

    Their rules by type and all at once, validation rules by category, pipelines and configurations by pay frequency,
    what a plan or DEFAULT has of other kinds, and the limits of every year. An item that cannot be read raises as it
    would for an agent; one whose key was dropped is passed over: no agent can read it either.
    """
    count = 0
    shared = [entity for level in (GLOBAL, DEFAULT) for entity in store.at_level(level, without_lost=True)]
    for plan_id in store.plans() if plan_ids is None else plan_ids:
        stored = [*shared, *store.at_level(plan_id, without_lost=True)]
        for read in _reads(store, plan_id, stored):
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


def _reads(store: Store, plan_id: str, stored: Sequence[Entity]) -> Iterator[Callable[[], object]]:
    for mapper in store.tables.kinds:
        if mapper.cached and (mapper.in_store is not None or mapper.owner is None):
            repository: Reader[Any] = getattr(store, mapper.in_store) if mapper.in_store else store.repository(mapper)
            yield from repository.reads_of(plan_id, [entity for entity in stored if type(entity) is mapper.entity])
