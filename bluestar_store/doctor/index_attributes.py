"""Do the items carry the index attributes that follow from what they say?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bluestar_store.doctor.findings import Finding, Severity
from bluestar_store.doctor.reading import Seen
from bluestar_store.errors import InvalidKeyError
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.models.tables import index_specs
from bluestar_store.protocols import Item
from bluestar_store.repositories.session import Session


def check(session: Session, page: Sequence[Seen]) -> Iterator[Finding]:
    """One finding for all items of a kind that lack them; one for each item whose attributes are wrong."""
    for one in page:
        if one.mapper is None or not one.mapper.index_names or not isinstance(one.entity, Entity):
            continue
        try:
            wanted = one.mapper.index_of(one.entity)
        except InvalidKeyError:  # of no plan that could be asked for: `reach` tells
            continue
        wrong = {name for name in one.mapper.index_attributes if one.item.get(name) != _wire(wanted.get(name))}
        if not wrong:
            continue
        if _lacks_all(one.mapper, one.item):
            names = ", ".join(sorted(wanted))
            what = f"{one.mapper.name} items without index attributes ({names}), as other programs write them"
            mend = "bluestar-store create --upgrade, once, and again after other programs have added items"
            yield Finding(Severity.WARNING, "index-attributes-missing", what, mend, one.table)
        else:
            # Where there should be none, a reader finds the item, looks at it, and leaves it out.
            severity = Severity.ERROR if wanted else Severity.WARNING
            names = ", ".join(sorted(wrong))
            what = f"its index attributes ({names}) do not follow from what it says: it is missing from lists"
            if not wanted:
                what = f"it should have no index attributes ({names})"
            yield one.finding(severity, "index-attributes-wrong", what, "bluestar-store create --upgrade")


def _wire(text: str | None) -> dict[str, Any] | None:
    return None if text is None else {"S": text}


def _lacks_all(mapper: Mapper[Any], item: Item) -> bool:
    """Whether the item was written by another program, which knows nothing of indexes."""
    return all(spec.partition_attribute not in item for spec in index_specs(mapper).values())
