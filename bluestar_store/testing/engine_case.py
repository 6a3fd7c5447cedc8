"""What a target gives the engine suite, and the small words its tests are written in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import pytest

from bluestar_store.keys import Key
from bluestar_store.protocols import Engine, IndexSpec, Item, Page, TableSpec


class SideDoor(Protocol):
    """Items put and read behind the engine's back, as another program would."""

    def put(self, table: str, item: Item) -> None:
        """Replace the item, unconditionally and as it is."""

    def get(self, table: str, key: Key) -> Item | None:
        """The item as it is stored, read consistently."""


class EngineCase:
    """The fixtures that a target gives, and what it may declare to lack."""

    isolated_transactions = True
    """Concurrent transactions on one item do not lose updates, and isolated reads see none of them in part."""

    exact_limits = True
    """Takes all that AWS's limits allow, and refuses what lies beyond them and only the server can see."""

    exact_equality = True
    """A condition tells True from 1, and an attribute that is NULL from one that is not there."""

    @pytest.fixture
    def specs(self) -> tuple[TableSpec, ...]:
        """The tables of this test; one table may serve as all of them."""
        raise NotImplementedError

    @pytest.fixture
    def engine(self, specs: tuple[TableSpec, ...]) -> Iterator[Engine]:
        """The engine under test, with these tables and no items."""
        raise NotImplementedError

    @pytest.fixture
    def door(self, engine: Engine) -> SideDoor:
        """The way past the engine."""
        raise NotImplementedError

    @pytest.fixture
    def table(self, specs: tuple[TableSpec, ...]) -> str:
        return specs[0].name

    @pytest.fixture
    def other_table(self, specs: tuple[TableSpec, ...]) -> str:
        """Another table where there is one: tests use keys of their own in it."""
        return specs[-1].name

    @pytest.fixture
    def indexed(self, specs: tuple[TableSpec, ...]) -> tuple[str, IndexSpec]:
        """A table and an index of it."""
        return next((spec.name, spec.indexes[0]) for spec in specs if spec.indexes)

    def needs(self, able: bool, what: str) -> None:
        """Skip the test when the target declares that it cannot do this."""
        if not able:
            pytest.skip(f"this target declares that it lacks: {what}")


def item(pk: str, sk: str = "A", /, **attributes: Any) -> Item:
    """A wire item; attributes are given as text, as a whole number, or in wire form. None leaves one out."""
    found: Item = {"PK": {"S": pk}, "SK": {"S": sk}}
    for name, value in attributes.items():
        match value:
            case str():
                found[name] = {"S": value}
            case int():
                found[name] = {"N": str(value)}
            case dict():
                found[name] = value
    return found


def numbered(pk: str, count: int) -> list[Item]:
    """Items of one partition whose sort keys sort as they are numbered."""
    return [item(pk, f"RULE#{number:05d}") for number in range(count)]


def sort_keys(items: Iterable[Item]) -> list[str]:
    """The items' sort keys."""
    return [found["SK"]["S"] for found in items]


def all_pages(first: Page, following: Callable[[str], Page]) -> list[Item]:
    """The items of all pages; `following` gives the page behind a cursor."""
    found, page = list(first.items), first
    while page.cursor is not None:
        page = following(page.cursor)
        found += page.items
    return found
