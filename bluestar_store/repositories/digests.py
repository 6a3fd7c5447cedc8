"""Digests of entities: plain, or keyed by the store's key where they cover sensitive values. See `digest_keys`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from bluestar_store.errors import AccessDeniedError, ConfigurationError, ConflictError, TableMissingError
from bluestar_store.keys import Key
from bluestar_store.mapping.canonical import canonical, digest
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.mapping.sealed import as_stored, is_ciphertext, item_as_stored
from bluestar_store.mapping.values import plain_value, version_of
from bluestar_store.mapping.wire import from_wire
from bluestar_store.models.digest_keys import (
    CURRENT,
    KEPT_WITH,
    MIXED,
    PARTITION,
    DigestKey,
    at_home,
    key_in,
    key_named_in,
    pointer_item,
)
from bluestar_store.models.index_marks import HOME
from bluestar_store.models.tables import Tables
from bluestar_store.protocols import ABSENT, OWN_PREFIX, Engine, Item, Put, key_of, pages
from bluestar_store.redaction.masking import has_secrets
from bluestar_store.redaction.names import shown_key_fields

if TYPE_CHECKING:
    from bluestar_store.encryption.sealing import Sealing

ATTEMPTS = 10
"""Tries of making the store's key that others get in the way of."""


class Digests:
    """Makes digests, and makes them again as they were made. Safe for threads.

    Keys are read once, past every unit of work, and again when a digest names one that is not known.
    """

    def __init__(
        self,
        engine: Callable[[], Engine],
        tables: Tables,
        *,
        plain_pins: bool = False,
        sealing: Sealing | None = None,
    ) -> None:
        """`sealing`: what encrypts, and has the keys of plans."""
        self._sealing = sealing
        self._engine, self._tables, self._plain_pins = engine, tables, plain_pins
        self._lock = threading.Lock()
        self._current: DigestKey | None = None
        self._ring: Mapping[Key, DigestKey] = {}
        self._stored: Mapping[Key, Item] = {}
        self._is_hidden = False

    def of(self, mapper: Mapper[Any], entity: Entity) -> str:
        """The digest of an entity. Raises what reading and making the store's key raises, for a sensitive one."""
        if not is_sensitive(mapper, entity):
            return digest(canonical(entity))
        return self._keyed(_scope(mapper, entity), canonical(entity))

    def of_item(self, mapper: Mapper[Any], item: Item) -> str:
        """The digest of an item that cannot be read as its entity: of its key and all attributes, but for our own.

        Keyed where some of it would be shown masked. Raises as `of` does.
        """
        said = {name: from_wire(value) for name, value in item.items() if not name.startswith(OWN_PREFIX)}
        plain = {name: plain_value(value) for name, value in said.items()}
        if mapper.is_sensitive or has_secrets(said):
            return self._keyed(scope_of(mapper, key_of(item).pk), plain)
        return digest(plain)

    def of_value(self, mapper: Mapper[Any], pk: str, plain: Any) -> str:
        """The digest of a sensitive value, in plain JSON values, of an item in this partition. Raises as `of` does."""
        return self._keyed(scope_of(mapper, pk), plain)

    def pinned(self, mapper: Mapper[Any], entity: Entity) -> str:
        """The same as `of`, but plain where the setting `plain_pins` says so."""
        return digest(canonical(entity)) if self._plain_pins else self.of(mapper, entity)

    def again(self, mapper: Mapper[Any], entity: Entity, made: str) -> str | None:
        """The digest, made with the key and form of the one that was `made`; None if that key is missing."""
        named = key_named_in(made)
        if named is None:
            return digest(canonical(entity))
        key = self._named(named, _scope(mapper, entity)) if named else None
        return None if key is None else key.digest(canonical(entity))

    def _keyed(self, scope: str, plain: Any) -> str:
        key = self.current().scoped(scope)
        assert key is not None  # noqa: S101  # the store's own has no scope
        if self._sealing is not None:
            with suppress(AccessDeniedError, ConfigurationError):  # who may not make a plan's key, or use it
                key = key.mixed(*self._sealing.digest_key(scope))
        return key.digest(plain)

    def current(self) -> DigestKey:
        """The store's key, made where there is none: of two processes that make it at once, one makes it for both.

        Who may not write gets a key of its own, which nobody else knows: its digests compare with no others.
        """
        with self._lock:
            for _ in range(ATTEMPTS):
                if self._current is not None:
                    break
                try:
                    self._current = self._at_hand() or self._found_or_made()
                except (AccessDeniedError, TableMissingError):
                    self._current = DigestKey.random()
                except ConflictError:  # others were faster
                    continue
            if self._current is None:
                raise ConflictError(f"{self._home}: {CURRENT}: others keep writing it; call again")
            return self._current

    def ring(self) -> tuple[DigestKey, ...]:
        """All keys that the store has, its own among them; empty where there is none yet."""
        return tuple(self._read()[0].values())

    @property
    def has_any(self) -> bool:
        """Whether `ring` found keys, also such as cannot be read, being encrypted."""
        return bool(self._stored)

    @property
    def encrypts(self) -> bool:
        """Whether keys lie encrypted where this process puts them."""
        return self._sealing is not None

    def at_rest(self, keys: Iterable[DigestKey], *, whole: bool) -> dict[Key, Item]:
        """The items of these keys for an export, as they lie on disk, or would; with `whole` all that the store has.

        What `ring` found last. Raises what encryption raises.
        """
        found = dict(self._stored) if whole else {}
        for key in keys:
            item = self._stored.get(key.place) or key.item()
            found[key.place] = item_as_stored(
                item if self._sealing is None else self._sealing.sealed(self._home, key.place, item, self._engine())
            )
        return found

    @property
    def _home(self) -> str:
        return self._tables.name(KEPT_WITH)

    def _read(self, *, consistent: bool = True) -> tuple[Mapping[Key, DigestKey], Item | None]:
        """The keys by their places, and the item that names the store's own; else as far as they are seen.

        That takes a sixth of the read units; a key that another has just taken the place of is one of the store still.
        """
        keys, pointer = dict[Key, DigestKey](), None
        stored: dict[Key, Item] = {}
        hidden: set[str] = set()
        try:
            for item in self._items(consistent=consistent):
                if key_of(item) == CURRENT:
                    pointer = item
                    continue
                stored[key_of(item)] = {name: as_stored(value) for name, value in item.items() if name != HOME}
                if (found := key_in(item)) is not None:
                    keys[found.place] = found
                elif is_ciphertext(item.get("key")):
                    hidden.add(key_of(item).sk.partition("#")[2])
        except (AccessDeniedError, TableMissingError):
            return {}, None
        self._ring, self._stored = keys, stored
        self._is_hidden = (pointer or {}).get("key_id", {}).get("S") in hidden
        return keys, pointer

    def _items(self, *, consistent: bool) -> Iterator[Item]:
        """All of the partition; then what names the store's own key, and that key: a query may not show them yet."""
        engine = self._engine()
        for page in pages(lambda cursor: engine.query(self._home, PARTITION, cursor=cursor, consistent=consistent)):
            yield from page
        if not consistent:
            return
        for pointer in engine.get(self._home, [CURRENT], consistent=True).values():
            yield pointer
            if named := pointer.get("key_id", {}).get("S"):
                yield from engine.get(self._home, [Key(PARTITION, f"KEY#{named}")], consistent=True).values()

    def _at_hand(self) -> DigestKey | None:
        keys, pointer = self._read(consistent=False)
        named = (pointer or {}).get("key_id", {}).get("S")
        return next((key for key in keys.values() if key.id == named and not key.scope), None)

    def _found_or_made(self) -> DigestKey:
        """The store's own key; where there is none, or it was deleted, one that an import brought, else a new one.

        Raises ConflictError when another one makes it at the same time.
        """
        keys, pointer = self._read()
        whole = {key.id: key for key in sorted(keys.values(), key=lambda key: key.id, reverse=True) if not key.scope}
        named = (pointer or {}).get("key_id", {}).get("S")
        if named in whole:
            return whole[named]
        if self._is_hidden:  # encrypted, and not to be read here: what this process digests compares with nothing
            return DigestKey.random()
        key = next(reversed(whole.values()), None) or DigestKey.random()
        version = None if pointer is None else version_of(pointer)
        own = pointer_item(key, 1 if version is None else version + 1)
        writes = [Put(self._home, at_home(self._tables, own), ABSENT if version is None else version)]
        if key.id not in whole:
            writes.append(Put(self._home, at_home(self._tables, key.item()), ABSENT))
        self._engine().write(*writes)
        return key

    def _named(self, name: str, scope: str) -> DigestKey | None:
        """The key that a digest names, of the items of a partition, with the plan's mixed in where it was."""
        own, is_mixed, of_plan = name.partition(MIXED)
        key = self._known(own, scope)
        if key is None or not is_mixed:
            return key
        secret = None if self._sealing is None else self._sealing.digest_key_again(scope, of_plan)
        return None if secret is None else key.mixed(of_plan, secret)

    def _known(self, key_id: str, scope: str) -> DigestKey | None:
        """The key of this id for the items of a partition; looked for once more where it is not known."""
        found = self._in_ring(key_id, scope)
        if found is None:
            self._read()
            found = self._in_ring(key_id, scope)
        return found

    def _in_ring(self, key_id: str, scope: str) -> DigestKey | None:
        own = () if self._current is None else (self._current,)
        keys = (key.scoped(scope) for key in (*own, *self._ring.values()) if key.id == key_id)
        return next(filter(None, keys), None)


def is_sensitive(mapper: Mapper[Any], entity: Entity) -> bool:
    """Whether a digest of an entity covers what is shown masked."""
    if mapper.is_sensitive:
        return True
    extra, shown = entity.extra, shown_key_fields(type(entity))
    said = {name: value for name, value in entity.__dict__.items() if name not in shown}
    return has_secrets(said, numbers=False) or has_secrets(extra)


def scope_of(mapper: Mapper[Any], pk: str) -> str:
    """What the key of a partition's items follows from."""
    return f"{mapper.table}/{pk}"


def _scope(mapper: Mapper[Any], entity: Entity) -> str:
    return scope_of(mapper, mapper.keys.partition(mapper.identity(entity)))
