"""An engine that wraps another one: it encrypts on writes and decrypts on reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bluestar_store.encryption.sealing import Sealing
from bluestar_store.engines.passing import PassingEngine
from bluestar_store.keys import Key
from bluestar_store.mapping.sealed import as_stored, item_as_stored
from bluestar_store.protocols import (
    AsRead,
    AttributeValue,
    BeforeAttempt,
    Engine,
    Expectation,
    Item,
    Page,
    Place,
    Put,
    ReadsPlaces,
    Update,
    Write,
    key_of,
)


class SealingEngine(PassingEngine):
    """See `protocols.Engine`. Conditions are on the ciphertext as it was read."""

    def __init__(self, engine: Engine, sealing: Sealing) -> None:
        super().__init__(engine)
        self.sealing = sealing

    def get(self, table: str, keys: Iterable[Key], *, consistent: bool = False) -> dict[Key, Item]:
        """See `protocols.Engine`."""
        return self._all_opened(table, self._engine.get(table, keys, consistent=consistent))

    def get_isolated(self, table: str, keys: Iterable[Key]) -> dict[Key, Item]:
        """See `protocols.Engine`."""
        return self._all_opened(table, self._engine.get_isolated(table, keys))

    def _all_opened(self, table: str, found: dict[Key, Item]) -> dict[Key, Item]:
        for item in found.values():
            self.sealing.opened(table, item)
        return found

    def query(self, table: str, pk: str, sk_prefix: str = "", **options: Any) -> Page:
        """See `protocols.Engine`."""
        return self._page_opened(table, self._engine.query(table, pk, sk_prefix, **options))

    def scan(self, table: str, **options: Any) -> Page:
        """See `protocols.Engine`."""
        return self._page_opened(table, self._engine.scan(table, **options))

    def _page_opened(self, table: str, page: Page) -> Page:
        for item in page.items:
            self.sealing.opened(table, item)
        return page

    def write(self, *writes: Write, before_attempt: BeforeAttempt | None = None) -> None:
        """See `protocols.AnnouncesAttempts`."""
        super().write(*map(self._sealed, writes), before_attempt=before_attempt)

    def _sealed(self, write: Write) -> Write:
        expect = _as_stored(write.expect)
        match write:
            case Put():
                return replace(write, item=self._attributes(write.table, write.key, write.item), expect=expect)
            case Update():
                return replace(write, set=self._attributes(write.table, write.key, write.set), expect=expect)
        return replace(write, expect=expect)

    def _attributes(self, table: str, key: Key, values: Mapping[str, AttributeValue]) -> dict[str, AttributeValue]:
        return item_as_stored(self.sealing.sealed(table, key, values, self._engine))

    def put_many(self, table: str, items: Iterable[Item], *, progress: Callable[[int], None] | None = None) -> int:
        """See `protocols.Engine`."""
        sealed = (self._attributes(table, key_of(item), item) for item in items)
        return self._engine.put_many(table, sealed, progress=progress)


class PlacesSealingEngine(SealingEngine):
    """Around an engine that reads items of several tables in one call."""

    _engine: ReadsPlaces

    def get_places(self, places: Sequence[Place]) -> dict[Place, Item]:
        """See `protocols.ReadsPlaces`."""
        found = self._engine.get_places(places)
        for (table, _), item in found.items():
            self.sealing.opened(table, item)
        return found


def _as_stored(expect: Expectation) -> Expectation:
    if not isinstance(expect, AsRead):
        return expect
    return replace(expect, attributes=_stored(expect.attributes), others=_stored(expect.others))


def _stored(attributes: Mapping[str, AttributeValue | None]) -> dict[str, AttributeValue | None]:
    return {name: None if value is None else as_stored(value) for name, value in attributes.items()}
