"""What every check of items is given: the items of a page, each with what the library makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bluestar_store.doctor.findings import Finding, Severity
from bluestar_store.errors import ItemDecodeError
from bluestar_store.keys import Key
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.protocols import Item, key_of


@dataclass(frozen=True)
class Seen:
    """One item. `mapper` is None when its key is no kind's; `entity` may be why it does not decode."""

    table: str
    key: Key
    item: Item
    mapper: Mapper[Any] | None
    identity: Mapping[str, Any]
    entity: Entity | ItemDecodeError | None

    def finding(self, severity: Severity, check: str, what: str, mend: str) -> Finding:
        """A finding about this item."""
        return Finding(severity, check, what, mend, self.table, self.key.pk, self.key.sk)


def seen(table: str, kinds: Sequence[Mapper[Any]], item: Item) -> Seen:
    """The item, as the first of the kinds that its key belongs to (no key belongs to two)."""
    key = key_of(item)
    for mapper in kinds:
        identity = mapper.keys.parse(key)
        if identity is not None:
            entity: Entity | ItemDecodeError
            try:
                entity = mapper.decode(item, table)
            except ItemDecodeError as error:
                # Without its way here: the frames in it would keep the page's items until the next full collection.
                error.__context__ = None
                entity = error.with_traceback(None)
            return Seen(table, key, item, mapper, identity, entity)
    return Seen(table, key, item, None, {}, None)
