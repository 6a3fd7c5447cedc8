"""Digests that take no key, as release 0.1.0 made them, of what is shown masked: who reads one can try all numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bluestar_store.doctor.findings import Finding, Severity
from bluestar_store.doctor.reading import Seen
from bluestar_store.errors import BlueStarError
from bluestar_store.keys import Key
from bluestar_store.models.audit import SALT, AuditEntry
from bluestar_store.models.batches import BatchRules, StepResult
from bluestar_store.models.digest_keys import key_named_in
from bluestar_store.models.kind import Kind
from bluestar_store.models.masking import has_secret, has_secrets
from bluestar_store.repositories.access import Access
from bluestar_store.repositories.digests import is_sensitive

Named = tuple[str, Key]
"""A table by its name without prefix, and an item's key."""


def check(access: Access, page: Sequence[Seen]) -> Iterator[Finding]:
    """A finding for each batch, each entry of a trail and each result that has such a digest.

    Whether an item has something that is shown masked is known of its kind, else from what is there by now, and, of a
    change, from what it changed: what an item lost that is deleted is not known.
    """
    plain = [(one, list(_plainly_named(one.entity))) for one in page]
    hiding = _hiding(access, {named for _, found in plain for named in found})
    for one, found in plain:
        if hiding.isdisjoint(found) and not _is_plain_beside(one.entity):
            continue
        what = (
            "has a digest that takes no key of what is shown masked, such as a bank account: whoever reads it can find "
            "the number by trying"
        )
        mend = (
            "nothing, for what is pinned and chained stays: let nobody read it who may not read the number "
            "(docs/upgrading.md says more)"
        )
        yield one.finding(Severity.INFO, "digest-plain", what, mend)


def _plainly_named(entity: Any) -> Iterator[Named]:
    """The items whose digests are in this one, and take no key."""
    match entity:
        case BatchRules(items=items) if items is not None:
            for name, made in items.items():
                if key_named_in(made) is None:
                    yield name.partition("/")[0], _key(name)
        case AuditEntry(table=str(table), partition=str(partition), details=Mapping() as details):
            if _has_plain(details):
                yield table, Key(partition, str(details.get("item")))


def _has_plain(details: Mapping[str, Any]) -> bool:
    made = (details.get("digest_before"), details.get("digest_after"))
    return any(isinstance(text, str) and key_named_in(text) is None for text in made)


def _is_plain_beside(entity: Any) -> bool:
    """Whether an entity has a digest that takes neither key nor salt of what it says itself."""
    match entity:
        case StepResult(result=result, digest=str(made)):
            return key_named_in(made) is None and has_secret("result", result)
        case AuditEntry(hash=str(), details=details):
            if SALT not in entity.extra and has_secrets({"details": details}):
                return True
            changed = (details or {}).get("changed")
            return isinstance(changed, Mapping) and _has_plain(details or {}) and has_secret("changed", changed)
    return False


def _key(name: str) -> Key:
    """The key in `{table}/{PK}/{SK}`; a partition key may have a `/` of its own, sort keys of these kinds have none."""
    pk, _, sk = name.partition("/")[2].rpartition("/")
    return Key(pk, sk)


def _hiding(access: Access, named: set[Named]) -> set[Named]:
    """Those of the items that have something that is shown masked."""
    found: set[Named] = set()
    asked: dict[str, dict[Key, tuple[Named, Kind[Any]]]] = {}
    for table, key in named:
        kind = next((kind for kind in access.tables.kinds if kind.table == table and kind.keys.parse(key)), None)
        if kind is None:
            continue
        if kind.is_sensitive:
            found.add((table, key))
        else:
            asked.setdefault(access.table(kind), {})[key] = (table, key), kind
    for on_disk, wanted in asked.items():
        for key, item in access.engine.get(on_disk, wanted).items():
            one, kind = wanted[key]
            try:
                hides = is_sensitive(kind, kind.decode(item))
            except BlueStarError:  # another check says so
                continue
            if hides:
                found.add(one)
    return found
