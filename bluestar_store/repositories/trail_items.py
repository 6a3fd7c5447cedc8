"""All that lies in the partition of a trail, a batch's or another one, as of one moment."""

from __future__ import annotations

from collections.abc import Iterable

from bluestar_store.engines.checks import MAX_ISOLATED_KEYS
from bluestar_store.engines.dynamo.bulk import chunks
from bluestar_store.keys import Key
from bluestar_store.models.audit import AUDIT_ENTRY, CHAIN_HEAD
from bluestar_store.models.batches import BATCH_RULES, BATCH_STATE
from bluestar_store.protocols import Item, key_of
from bluestar_store.repositories.moments import Part, read_parts
from bluestar_store.repositories.revisions import says_nothing_else
from bluestar_store.repositories.session import Session


def has_head(items: Iterable[Item]) -> bool:
    """Whether the head of a trail is among the items; one that is there only as a revision is none."""
    return any(CHAIN_HEAD.owns(item) and not says_nothing_else(item) for item in items)


def trail_items(session: Session, pk: str) -> list[Item]:
    """The items, by sort key.

    The head of the trail is read last, isolated. It knows how many entries there are, which never change: those that
    the query did not see yet are read by key.
    """
    table, head = session.table(CHAIN_HEAD), session.revisions.of_trail(pk)
    part = Part(table, pk, "")
    found = read_parts(session, [head], [part], beside=[head])
    items = found[part]
    known = {identity["seq"] for item in items if (identity := AUDIT_ENTRY.keys.parse(key_of(item)))}
    told = found.beside.get(head, {}).get("seq", {}).get("N", "")
    numbers = (seq for seq in range(1, (int(told) if told.isdecimal() else 0) + 1) if seq not in known)
    late = [Key(pk, AUDIT_ENTRY.keys.sort.build({"seq": seq})) for seq in numbers]
    if BATCH_STATE.keys.partition_identity(pk) is not None:  # which a start writes together, and no revision lists
        seen = set(map(key_of, items))
        late += [key for mapper in (BATCH_STATE, BATCH_RULES) if (key := Key(pk, mapper.keys.sort.prefix)) not in seen]
    for keys in chunks(late, MAX_ISOLATED_KEYS):
        items += session.engine.get_isolated(table, keys).values()
    return sorted(items, key=lambda item: item["SK"]["S"])
