"""Letting a unit of work depend on what it only read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from bluestar_store.errors import InvalidEntityError, InvalidWriteError
from bluestar_store.models.entity import Entity
from bluestar_store.models.pipeline import PIPELINE_STEP
from bluestar_store.protocols import ABSENT, Check
from bluestar_store.repositories.access import Access
from bluestar_store.repositories.changes import as_read
from bluestar_store.repositories.transaction import Bookkeeping


def check(access: Access, entities: Iterable[Entity]) -> None:
    """See `Store.check`."""
    if access.unit_here() is None:
        raise InvalidWriteError("check belongs to a unit of work: what it finds holds for that one's commit only")
    expected = [check for entity in entities for check in _expected(access, entity)]
    with access.unit() as unit:
        unit.bookkeep(partial(_insist, expected))


def _insist(checks: Iterable[Check], unit: Bookkeeping) -> None:
    unit.insist(*checks)


def _expected(access: Access, entity: Entity) -> Iterator[Check]:
    kind = next((kind for kind in access.tables.kinds if type(entity) is kind.entity), None)
    if kind is None:
        raise InvalidEntityError(f"{type(entity).__name__} is no entity of this Store")
    key, table = kind.key(entity), access.table(kind)
    if entity.origin is None or entity.origin.key != key:
        yield Check(table, key, ABSENT)
        return
    yield Check(table, key, as_read(access, kind, entity.origin.wire))
    if entity.inherited_by is not None and kind.keys.level is not None and kind is not PIPELINE_STEP:
        yield Check(table, kind.keys.build(kind.identity(entity) | {"plan_id": entity.inherited_by}), ABSENT)
