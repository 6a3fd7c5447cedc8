"""Attributes in plain text, where the settings name a key to encrypt them with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from bluestar_store.doctor.findings import Finding, Severity
from bluestar_store.doctor.reading import Seen
from bluestar_store.repositories.encrypting import is_plain_digest_key, plain_attributes
from bluestar_store.repositories.session import Session

MEND = "run bluestar-store encrypt; what programs without the key write stays plain until it is run again"


def check(session: Session, page: Sequence[Seen]) -> Iterator[Finding]:
    """How many items of each kind have attributes that the settings want encrypted, and are not."""
    if session.sealing is None:
        return
    found = Counter(
        (one.table, one.mapper)
        for one in page
        if one.mapper is not None and plain_attributes(one.mapper, one.item, records=session.sealing.records)
    )
    if keys := [one.table for one in page if is_plain_digest_key(one.item)]:
        what = "keys of digests lie in plain text: who reads them can try account numbers"
        yield Finding(Severity.WARNING, "not-encrypted", what, MEND, keys[0], count=len(keys))
    for (table, mapper), count in found.items():
        if mapper.append_only:
            what = "entries of audit trails have details in plain text, from before they were encrypted"
            yield Finding(
                Severity.INFO, "not-encrypted", what, "nothing: an entry is never changed", table, count=count
            )
        else:
            what = f"items of {mapper.name} have values in plain text that the settings want encrypted"
            yield Finding(Severity.WARNING, "not-encrypted", what, MEND, table, count=count)
