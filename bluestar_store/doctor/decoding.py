"""Do the items decode?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bluestar_store.doctor.findings import Finding, Severity
from bluestar_store.doctor.reading import Seen
from bluestar_store.errors import EncryptedValueError, ItemDecodeError
from bluestar_store.repositories.session import Session

READ_BY_KEY = "give this process the key that it needs; the item itself may be whole: leave it as it is"

LOST = (
    "no key gives it back: write a new value over a bank account (`config set`), or delete its item; results and "
    "entries of a trail stay as they are"
)


def check(session: Session, page: Sequence[Seen]) -> Iterator[Finding]:
    """A finding for each item that is not what its entity needs."""
    for one in page:
        if isinstance(one.entity, EncryptedValueError):
            what = f"attribute {one.entity.attribute} {one.entity.reason}"
            if one.entity.is_lost:
                yield one.finding(Severity.INFO, "dropped", what, LOST)
            else:
                yield one.finding(Severity.WARNING, "unreadable", what, READ_BY_KEY)
        elif isinstance(one.entity, ItemDecodeError) and one.mapper is not None:
            what = f"is no {one.mapper.name} that can be read: attribute {one.entity.attribute} {one.entity.reason}"
            mend = f"correct or remove {one.entity.attribute} where the item was written, or delete the item"
            yield one.finding(Severity.ERROR, "undecodable", what, mend)
