"""Items whose key belongs to no kind: some make reads fail, some are never read, some are other programs' own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bluestar_store.doctor.findings import Finding, Severity
from bluestar_store.doctor.reading import Seen
from bluestar_store.errors import InvalidKeyError
from bluestar_store.keys import Key
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.models.batches import BATCH_STATE
from bluestar_store.models.digest_keys import is_digest_key
from bluestar_store.models.index_marks import is_mark
from bluestar_store.repositories.session import Session


def check(session: Session, page: Sequence[Seen]) -> Iterator[Finding]:
    """A finding for each item whose key is no kind's of this table."""
    for one in page:
        if one.mapper is None and not is_mark(one.key) and not is_digest_key(one.key):
            yield _finding(session, one)


def _finding(session: Session, one: Seen) -> Finding:
    here = [mapper for mapper in session.tables.kinds if session.table(mapper) == one.table]
    for mapper in here:
        if _breaks_reads(mapper, one.key):
            what = f"its key begins like a {mapper.name}'s and is none: reads of its partition fail"
            mend = "delete the item, or write it again under a key as docs/tables-and-keys.md has it"
            return one.finding(Severity.ERROR, "key-unreadable", what, mend)
    for mapper in here:
        if (reason := _ambiguity(mapper, one.key)) is not None:
            what = f"is a {mapper.name} that nobody reads: {reason}"
            mend = "write it again under the key that is meant, with the library, then delete this item"
            return one.finding(Severity.WARNING, "key-ambiguous", what, mend)
    for mapper in session.tables.kinds:
        if mapper not in here and mapper.owns(one.item):
            what = f"is a {mapper.name} in the wrong table: nobody reads it here"
            mend = f"write it to {session.table(mapper)}, then delete this item"
            return one.finding(Severity.WARNING, "unreachable", what, mend)
    return one.finding(
        Severity.INFO, "key-unknown", "belongs to no kind of item that the library knows", "nothing: it is left alone"
    )


def _identities(mapper: Mapper[Any], pk: str) -> Iterator[Mapping[str, Any]]:
    """What a partition key says, by each form of the kind's that it has."""
    for template, fixed in mapper.keys.forms:
        if (found := template.parse(pk)) is not None:
            yield {**fixed, **found}


def _breaks_reads(mapper: Mapper[Any], key: Key) -> bool:
    """Whether a reader of the kind's partition gets this item: a query asks for the sort key's prefix only.

    What old programs keep of batches is passed over by all who read a batch or a trail.
    """
    sort = mapper.keys.sort
    if mapper.table == BATCH_STATE.table or not sort.fields or not key.sk.startswith(sort.prefix):
        return False
    for identity in _identities(mapper, key.pk):
        try:
            if mapper.keys.partition(identity) == key.pk:
                return True
        except InvalidKeyError:
            continue
    return False


def _ambiguity(mapper: Mapper[Any], key: Key) -> str | None:
    """Why the library would never build this key, though it looks like one of the kind's."""
    rest = mapper.keys.sort.parse(key.sk)
    if rest is None:
        return None
    for identity in _identities(mapper, key.pk):
        try:
            return f"its key is {mapper.keys.build({**identity, **rest})}"
        except InvalidKeyError as error:
            return str(error)
    return None
