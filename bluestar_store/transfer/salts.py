"""Salts of exported files: random items in those with something that is shown masked.

A manifest has the SHA-256 of each file, and trails, logs and terminals show it: of a file with few lines it would tell
an SSN to who tries them all. The salt lies in the file, because who may read that may read the SSN, too. A file with
nothing of the kind has none: its digest stays the same on every engine and in every layout. 0.1.0 takes a salt for an
item of another program's.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path

from bluestar_store.keys import Key
from bluestar_store.lazy import cached_property
from bluestar_store.models.digest_keys import SALTS, DigestKey, salt_item
from bluestar_store.protocols import OWN_PREFIX, Item
from bluestar_store.redaction.masking import LONGEST_KEPT, SHORTEST
from bluestar_store.redaction.names import is_identifier
from bluestar_store.transfer.routes import Routes
from bluestar_store.transfer.transfer_files import Manifest, read_items

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

    def __init__(self, routes: Routes) -> None:
        self._routes = routes
        self._names: set[str] = set()
        self._texts: set[tuple[str, str]] = set()
        self._whole: set[str] = set()
        """Names of what is shown as it is."""
        self.tables: set[str] = set()

    @cached_property
    def _sensitive(self) -> frozenset[str]:
        return frozenset(mapper.table for mapper in self._routes.kinds if mapper.is_sensitive)

    def look(self, table: str, item: Item) -> None:
        """Look at an item of this table."""
        is_sensitive = table in self._sensitive
        if table in self.tables or (not is_sensitive and self._is_known(item)):
            return
        if self._routes.hides(item) if is_sensitive else self._routes.says_secrets(item):
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
