"""What the suites use besides the library itself: raw items, and a look at the calls an engine gets."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any, Protocol, TypeAlias

import pytest

from bluestar_store.keys import Key
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.protocols import Item
from bluestar_store.store import Store

RawPut: TypeAlias = Callable[[str, Item], None]
RawGet: TypeAlias = Callable[[str, Key], Item | None]


class RawChange(Protocol):
    """Changes attributes of an item as another program does; None takes one away."""

    def __call__(self, name: str, key: Key, **attributes: Any) -> None: ...


class BeforeWrite(Protocol):
    """Has something done when a Store has read and is about to write, so many times."""

    def __call__(self, act: Callable[[], object], times: float = 1) -> None: ...


def raw_change(raw_get: RawGet, raw_put: RawPut) -> RawChange:
    """Change attributes by what gets and puts an item."""

    def change(name: str, key: Key, **attributes: Any) -> None:
        item = (raw_get(name, key) or {}) | attributes
        raw_put(name, {attribute: value for attribute, value in item.items() if value is not None})

    return change


def before_writes(store: Store, monkeypatch: pytest.MonkeyPatch) -> BeforeWrite:
    """Get in between the reads and the writes of a Store."""

    def before(act: Callable[[], object], times: float = 1) -> None:
        write, calls = store.engine.write, count(1)

        def interfered(*writes: Any) -> None:
            if next(calls) <= times:
                in_thread(act)
            write(*writes)

        monkeypatch.setattr(store.engine, "write", interfered)

    return before


def wire(pk: str, sk: str, **attributes: Any) -> Item:
    """A wire item as another program writes it: texts may be given as they are."""
    values = {name: {"S": value} if isinstance(value, str) else value for name, value in attributes.items()}
    return {"PK": {"S": pk}, "SK": {"S": sk}, **values}


def table(store: Store, mapper: Mapper[Any]) -> str:
    """The name on disk of a kind's table."""
    return store.tables.name(mapper)


def in_thread(call: Callable[[], object]) -> None:
    """Make a call in another thread, so as another agent would: outside of the unit of work that is open here."""
    with ThreadPoolExecutor(1) as executor:
        executor.submit(call).result()


def without_indexes(store: Store) -> None:
    """Make the Store's tables anew as other programs made theirs: without the library's indexes."""
    specs = store.tables.specs()
    store.engine.delete_tables([spec.name for spec in specs])
    store.engine.create_tables([type(spec)(spec.name) for spec in specs])


CALLS = ("get", "get_isolated", "query", "scan", "write", "put_many")


class Calls(list[str]):
    """The names of the calls that an engine got, in order."""

    @classmethod
    def of(cls, store: Store, monkeypatch: pytest.MonkeyPatch) -> Calls:
        """Listen to a Store's engine from now on."""
        calls = cls()
        for name in CALLS:
            monkeypatch.setattr(store.engine, name, calls._listening(name, getattr(store.engine, name)))
        return calls

    def _listening(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.append(name)
            return method(*args, **kwargs)

        return call
