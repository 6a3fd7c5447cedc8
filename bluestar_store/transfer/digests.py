"""Keys of digests and salts that an export carries."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import takewhile
from pathlib import Path

from bluestar_store.keys import Key
from bluestar_store.lazy import cached_property
from bluestar_store.mapping.sealed import is_ciphertext
from bluestar_store.mapping.wire import from_wire
from bluestar_store.models.digest_keys import SALTS, SCHEME, DigestKey, key_named_in, salt_item
from bluestar_store.protocols import OWN_PREFIX, Item, key_of
from bluestar_store.redaction.masking import LONGEST_KEPT, SHORTEST
from bluestar_store.redaction.names import is_identifier
from bluestar_store.repositories.digests import scope_of
from bluestar_store.transfer.files import Manifest, read_items
from bluestar_store.transfer.layout import TableMap

MOST_REMEMBERED = 2_000


class Salts:
    """The salts of one export's files."""

    def __init__(self, keys: Iterable[DigestKey]) -> None:
        """They follow from the key of the store's digests, where it has one: equal stores have equal exports."""
        whole = sorted((key.id, key.key) for key in keys if key.scope is None)
        self._secret = whole[0][1] if whole else secrets.token_bytes(32)

    def of(self, table: str) -> Item:
        """The salt of a table's file."""
        return salt_item(table, hmac.digest(self._secret, f"export {table}".encode(), "sha256"))


class Hidden:
    """Finds the files with something that is shown masked; cheap for items that say what others said before."""

    def __init__(self, table_map: TableMap) -> None:
        self._table_map = table_map
        self._names: set[str] = set()
        self._texts: set[tuple[str, str]] = set()
        self._whole: set[str] = set()
        """Names of what is shown as it is."""
        self.tables: set[str] = set()

    @cached_property
    def _sensitive(self) -> frozenset[str]:
        return frozenset(mapper.table for mapper in self._table_map.kinds if mapper.is_sensitive)

    def inspect(self, table: str, item: Item) -> None:
        """Look at an item of this table."""
        is_sensitive = table in self._sensitive
        if table in self.tables or (not is_sensitive and self._is_known(item)):
            return
        if self._table_map.hides(item) if is_sensitive else self._table_map.contains_secrets(item):
            self.tables.add(table)
            return
        if max(len(self._names), len(self._texts)) > MOST_REMEMBERED:
            self._names, self._texts, self._whole = set(), set(), set()
        for name, value in item.items():
            if name in ("PK", "SK") or name.startswith(OWN_PREFIX) or is_identifier(name):
                self._whole.add(name)
            elif len(value.get("S", "")) in range(SHORTEST, LONGEST_KEPT + 1):
                self._texts.add((name, value["S"]))
        self._names |= item.keys()

    def _is_known(self, item: Item) -> bool:
        """Whether all of it was seen on items that have nothing to hide, or is too short."""
        if not item.keys() <= self._names:
            return False
        whole, texts = self._whole, self._texts
        for name, value in item.items():
            if name in whole:
                continue
            ((kind, content),) = value.items()
            if kind == "S":
                if len(content) >= SHORTEST and (name, content) not in texts:
                    return False
            elif kind == "N":
                if len(content) >= SHORTEST:
                    return False
            elif kind not in ("BOOL", "NULL"):
                return False
        return True


def exported_salts(folder: Path, manifest: Manifest) -> dict[Key, Item]:
    """The salts in an export; they lie at the beginning of their files."""
    found = {}
    for table, expected in manifest.tables.items():
        records = read_items(folder, table, expected, trusting=True)
        for record in takewhile(lambda record: record.key.pk <= SALTS, records):
            if record.key.pk == SALTS:
                found[record.key] = record.item
    return found


def digest_scopes(table_map: TableMap, item: Item, wants: Callable[[Item], bool]) -> Iterator[str]:
    """The partitions (`{table}/{PK}`) whose keys an exported item needs. `wants`: whether an item is of these plans.

    A batch pins what all plans share, too: those keys stay with the store.
    """
    key = key_of(item)
    mapper, identity = table_map.identity(key)
    if mapper is None:
        return
    if mapper.append_only:
        if identity.get("partition") is not None and _names_a_key(item):
            yield f"{identity['table']}/{identity['partition']}"
    elif mapper.pins is not None:
        for name in _pinned_with_a_key(item, mapper.pins):
            table, _, place = name.partition("/")
            pk, _, sk = place.rpartition("/")
            if wants({"PK": {"S": pk}, "SK": {"S": sk}}):
                yield f"{table}/{pk}"
    elif table_map.hides(item) or (mapper.digested is not None and _is_keyed(item.get("digest", {}).get("S"))):
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


def _pinned_with_a_key(item: Item, name: str) -> Iterator[str]:
    pinned = from_wire(item[name]) if name in item else None
    if isinstance(pinned, Mapping):
        yield from (name for name, made in pinned.items() if _is_keyed(made))
