"""Digests of bank accounts that take no key, as release 0.1.0 made them: who reads one can try all numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bluestar_store.doctor.findings import Finding, Severity
from bluestar_store.doctor.reading import Seen
from bluestar_store.keys import Key
from bluestar_store.models.audit import AuditEntry
from bluestar_store.models.batches import BatchRules
from bluestar_store.models.digest_keys import key_named_in
from bluestar_store.repositories.access import Access


def check(access: Access, page: Sequence[Seen]) -> Iterator[Finding]:
    """A finding for each batch and each entry of a trail that has such a digest."""
    for one in page:
        match one.entity:
            case BatchRules(items=items) if items is not None:
                plain = [name for name, made in items.items() if key_named_in(made) is None]
                plain = [name for name in plain if _is_sensitive(access, name.partition("/")[0], _key(name))]
            case AuditEntry(table=str(table), partition=str(partition), details=Mapping() as details):
                made = [details.get("digest_before"), details.get("digest_after")]
                is_one = _is_sensitive(access, table, Key(partition, str(details.get("item"))))
                plain = [table for text in made if is_one and isinstance(text, str) and key_named_in(text) is None]
            case _:
                plain = []
        if plain:
            what = "has a digest of a bank account that takes no key: whoever reads it can find the number by trying"
            mend = (
                "nothing, for what is pinned and chained stays: let nobody read it who may not read the account "
                "(docs/upgrading.md says more)"
            )
            yield one.finding(Severity.INFO, "digest-plain", what, mend)


def _key(name: str) -> Key:
    """The key in `{table}/{PK}/{SK}`; a partition key may have a `/` of its own, sort keys of these kinds have none."""
    pk, _, sk = name.partition("/")[2].rpartition("/")
    return Key(pk, sk)


def _is_sensitive(access: Access, table: Any, key: Key) -> bool:
    kinds = (kind for kind in access.tables.kinds if kind.table == table and kind.is_sensitive)
    return any(kind.keys.parse(key) is not None for kind in kinds)
