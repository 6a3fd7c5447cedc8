"""Which keys of digests an export of some plans carries: those of the digests of what is in it, and no others.

Each partition has a key of its own. Of a partition whose items are keyed it is needed to make their digests again, and
what has digests of others in it (what a batch pinned, what a trail tells) needs theirs, also when these are gone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from bluestar_store.mapping.sealed import is_ciphertext
from bluestar_store.mapping.values import from_wire
from bluestar_store.models.audit import AUDIT_ENTRY
from bluestar_store.models.batches import BATCH_RULES, STEP_RESULT
from bluestar_store.models.digest_keys import SCHEME, DigestKey, key_named_in
from bluestar_store.protocols import Item, key_of
from bluestar_store.repositories.digests import scope_of
from bluestar_store.transfer.routes import Routes


def digest_scopes(routes: Routes, item: Item, wants: Callable[[Item], bool]) -> Iterator[str]:
    """The partitions (`{table}/{PK}`) whose keys an exported item needs. `wants`: whether an item is of these plans.

    A batch pins what all plans share, too: those keys stay with the store.
    """
    key = key_of(item)
    mapper, identity = routes.identity(key)
    if mapper is None:
        return
    if mapper.name == AUDIT_ENTRY.name:
        if identity.get("partition") is not None and _names_a_key(item):
            yield f"{identity['table']}/{identity['partition']}"
    elif mapper.name == BATCH_RULES.name:
        for name in _pinned_with_a_key(item):
            table, _, place = name.partition("/")
            pk, _, sk = place.rpartition("/")
            if wants({"PK": {"S": pk}, "SK": {"S": sk}}):
                yield f"{table}/{pk}"
    elif routes.hides(item) or (mapper.name == STEP_RESULT.name and _is_keyed(item.get("digest", {}).get("S"))):
        yield scope_of(mapper, key.pk)


def scoped_keys(keys: Iterable[DigestKey], scopes: Collection[str]) -> Iterator[DigestKey]:
    """The keys for the items of these partitions only."""
    found = {scoped.place: scoped for key in keys for scope in scopes if (scoped := key.scoped(scope)) is not None}
    yield from found.values()


def _is_keyed(made: object) -> bool:
    return isinstance(made, str) and bool(key_named_in(made))


def _names_a_key(item: Item) -> bool:
    """Whether the details of an entry have such a digest, or cannot be read."""
    details = item.get("details")
    return details is not None and (is_ciphertext(details) or f"'{SCHEME}:" in repr(from_wire(details)))


def _pinned_with_a_key(item: Item) -> Iterator[str]:
    pinned = from_wire(item["items"]) if "items" in item else None
    if isinstance(pinned, Mapping):
        yield from (name for name, made in pinned.items() if _is_keyed(made))
