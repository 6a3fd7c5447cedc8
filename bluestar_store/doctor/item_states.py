"""Whether an item had something that is shown masked when a digest of it was made, as far as its trail tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bluestar_store.errors import BlueStarError
from bluestar_store.keys import Key
from bluestar_store.mapping.canonical import canonical, digest
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.mapping.wire import from_wire
from bluestar_store.models.audit import AUDIT_ENTRY
from bluestar_store.models.digest_keys import key_named_in
from bluestar_store.protocols import OWN_PREFIX, Item, pages
from bluestar_store.redaction.masking import has_secrets
from bluestar_store.repositories.digests import is_sensitive
from bluestar_store.repositories.session import Session
from bluestar_store.repositories.trail import decoded_entry

BEFORE, AFTER = SIDES = ("before", "after")
"""Of a change: an entry has a digest of each, and what each attribute that changed was."""
Named = tuple[str, Key]
"""A table by its name without prefix, and an item's key."""
Details = Mapping[str, Any]


class ItemStates:
    """What some items say, and said."""

    def __init__(self, session: Session, named: set[Named]) -> None:
        """Items by their tables, without prefix, and keys; they are read at once."""
        self._session = session
        self._always = set[Named]()
        self._hiding: dict[Named, tuple[Item, str]] = {}
        """Of what hides something by now: the item, and the digest without a key that it would have."""
        self._fields: dict[Named, frozenset[str | None]] = {}
        """The attributes that the library knows."""
        self._trails: dict[tuple[str, str], tuple[Details, ...]] = {}
        asked: dict[str, dict[Key, tuple[Named, Mapper[Any]]]] = {}
        for table, key in named:
            mapper = next(
                (mapper for mapper in session.tables.kinds if mapper.table == table and mapper.keys.parse(key)), None
            )
            if mapper is None:
                continue
            self._fields[table, key] = frozenset(attribute.attr_name for attribute in mapper.attributes.values())
            if mapper.is_sensitive:
                self._always.add((table, key))
            else:
                asked.setdefault(session.table(mapper), {})[key] = (table, key), mapper
        for on_disk, wanted in asked.items():
            for key, item in session.engine.get(on_disk, wanted).items():
                one, mapper = wanted[key]
                try:
                    entity = mapper.decode(item)
                except BlueStarError:  # another check says so
                    continue
                if is_sensitive(mapper, entity):
                    self._hiding[one] = item, digest(canonical(entity))

    def hid(self, named: Named, made: str) -> bool:
        """Whether an item hid something when this digest of it was made.

        Where its trail does not tell, it did if it does by now.
        """
        if named in self._always:
            return True
        if named not in self._hiding:
            return False
        item, now = self._hiding[named]
        if made == now:
            return True
        said: dict[str, Any] = {
            name: from_wire(value)
            for name, value in item.items()
            if name not in ("PK", "SK") and not name.startswith(OWN_PREFIX)
        }
        for details in reversed(self._changes(*named)):
            for when in (AFTER, BEFORE):
                if when == BEFORE and isinstance(changed := details.get("changed"), Mapping):
                    said = {name: value for name, value in said.items() if name not in changed}
                said |= changed_to(details, when)
                if details.get(f"digest_{when}") == made:
                    return self.hides(named, said)
        return True

    def hides(self, named: Named, said: Mapping[str, Any]) -> bool:
        """Whether one of these attributes of an item makes its digest take a key.

        Of a long value a trail has only a digest, with a key if it does.
        """
        fields = self._fields.get(named, frozenset())
        return any(
            has_secrets({name: value}, numbers=name not in fields)
            or (isinstance(value, Mapping) and bool(key_named_in(str(value.get("digest", "")))))
            for name, value in said.items()
        )

    def _changes(self, table: str, key: Key) -> Sequence[Details]:
        """What the entries of an item's trail say of its changes, by number."""
        if (table, key.pk) not in self._trails:
            self._trails[table, key.pk] = tuple(self._read(table, key.pk))
        return [details for details in self._trails[table, key.pk] if details.get("item") == key.sk]

    def _read(self, table: str, pk: str) -> Iterator[Details]:
        engine, on_disk = self._session.engine, self._session.table(AUDIT_ENTRY)
        trail = AUDIT_ENTRY.keys.partition({"table": table, "partition": pk})
        for items in pages(lambda cursor: engine.query(on_disk, trail, cursor=cursor)):
            for item in items:
                if not AUDIT_ENTRY.owns(item):
                    continue
                try:
                    entry = decoded_entry(item, on_disk)
                except BlueStarError:  # another check says so
                    continue
                if entry.details is not None:
                    yield entry.details


def plain_digest(details: Details, when: str) -> str | None:
    """The digest of one side of a change, where it takes no key."""
    made = details.get(f"digest_{when}")
    return made if isinstance(made, str) and key_named_in(made) is None else None


def changed_to(details: Details, when: str) -> dict[str, Any]:
    """The attributes that a change changed, as they were on one side of it."""
    changed = details.get("changed")
    if not isinstance(changed, Mapping):
        return {}
    return {name: sides[when] for name, sides in changed.items() if isinstance(sides, Mapping) and when in sides}
