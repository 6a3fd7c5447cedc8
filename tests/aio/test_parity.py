"""The async side has all that the sync one has, with the same parameters."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from typing import Any

import pytest

from bluestar_store import AsyncStore, Settings, Store
from bluestar_store.aio.repositories import AsyncReader
from bluestar_store.cache import CacheControl
from bluestar_store.files import FileStore
from bluestar_store.repositories.base import Reader
from tests.aio.stores import async_store, count_threads_used

NOT_AWAITED = {
    "bind",  # gives a PynamoDB class, whose own calls block: of `AsyncStore.store`
    "close",  # aclose
    "decrypted",  # of saved plans, which are made and applied in one thread
    "encrypted",  # the same
    *("effective", "levels", "reads_of"),  # for comparing plans and warming, which are made in one thread
    *("first", "partitions", "not_found", "session", "entities"),  # what subclasses make their calls of
    *("bulk_entry", "one_for_all"),  # of audit: around a bulk load, which is made in one thread
    *("whole", "proved_whole", "read_until_whole"),  # of pipelines: take raw items, for snapshots
}
PLAIN = {"listen", "open", "repository", "stats", "unit_of_work"}
"""What sends nothing, and so is not awaited."""


@pytest.fixture
def store() -> Iterator[AsyncStore]:
    with Store.open(Settings(persistence_mode="memory", files_url="memory://")) as sync:
        yield AsyncStore(sync)


def public(thing: Any) -> set[str]:
    names = (name for name in dir(thing) if not name.startswith("_"))
    asked = (name for name in names if not isinstance(inspect.getattr_static(thing, name), property))  # old names warn
    return {name for name in asked if callable(getattr(thing, name))}


def pairs(store: AsyncStore) -> dict[str, tuple[Any, Any]]:
    """Each object of the sync side that agents call, and the one that is awaited in its place."""
    found: dict[str, Any] = {"": store.store, "files": store.store.files}
    found |= {name: value for name, value in vars(store.store).items() if isinstance(value, Reader | CacheControl)}
    return {name: (sync, getattr(store, name) if name else store) for name, sync in found.items() if name[:1] != "_"}


def test_every_repository_of_a_store_has_its_awaited_side(store: AsyncStore) -> None:
    assert "batches" in vars(store.store)
    repositories = {name for name, value in vars(store.store).items() if isinstance(value, Reader)}
    assert {name for name, value in vars(store).items() if isinstance(value, AsyncReader)} == repositories


def test_every_public_method_is_there_and_awaited(store: AsyncStore) -> None:
    for name, (sync, awaited) in pairs(store).items():
        for method in public(FileStore if name == "files" else sync) - NOT_AWAITED - PLAIN:
            found = getattr(awaited, method, None)
            assert inspect.iscoroutinefunction(found), f"{name}.{method}"
            assert inspect.signature(found) == inspect.signature(getattr(sync, method)), f"{name}.{method}"
            assert found.__doc__ == getattr(sync, method).__doc__


def test_what_sends_nothing_is_there_and_not_awaited(store: AsyncStore) -> None:
    for name, (sync, awaited) in pairs(store).items():
        for method in public(sync) & PLAIN:
            if isinstance(sync, Reader):  # holds.open is awaited
                continue
            found = getattr(awaited, method)
            assert not inspect.iscoroutinefunction(found), f"{name}.{method}"
    assert inspect.signature(AsyncStore.open).parameters == inspect.signature(Store.open).parameters


def test_the_awaited_side_has_nothing_of_its_own_but_what_its_form_asks_for(store: AsyncStore) -> None:
    for name, (sync, awaited) in pairs(store).items():
        more = {"aclose"} if name == "" else set()
        assert public(awaited) - public(sync) - more == set(), name


CACHED = {
    "calculation_rules.get": ("ACME", "match"),
    "calculation_rules.all": ("ACME",),
    "validation_rules.for_category": ("SSN", "ACME"),
    "validation_rules.at_level": ("SSN", "ACME"),
    "irs_limits.get": (2026,),
    "client_configs.get": ("ACME", "Weekly"),
    "ach_configs.get": ("ACME", "Weekly"),
    "vendor_schemas.get": ("ADP", "f1"),
    "vendor_schemas.match": ("ADP", ["a", "b"]),
    "vendor_schemas.for_vendor": ("ADP",),
    "vendor_schemas.for_plan": ("ADP", "ACME", "Weekly"),
    "pipelines.steps": ("ACME", "Weekly"),
}


def test_every_read_through_the_cache_is_among_the_examples(store: AsyncStore) -> None:
    found = {
        f"{name}.{method}"
        for name, (sync, _) in pairs(store).items()
        for method in public(sync) - NOT_AWAITED
        if isinstance(sync, Reader) and "fresh" in inspect.signature(getattr(sync, method)).parameters
    }
    assert found == set(CACHED)


@pytest.mark.parametrize("name", CACHED)
def test_what_the_process_has_is_answered_on_the_event_loop(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    repository, _, method = name.partition(".")
    with async_store() as (store, engine):
        read = getattr(getattr(store, repository), method)

        async def answers() -> list[Any]:
            return [
                (await asyncio.gather(read(*CACHED[name], **options), return_exceptions=True))[0]
                for options in ({}, {}, {"fresh": True})
            ]

        used = count_threads_used(store, monkeypatch)
        first, second, fresh = asyncio.run(answers())
        assert (type(second), str(second)) == (type(first), str(first)) == (type(fresh), str(fresh))
        assert len(used) == 2  # the first, and the fresh one
        assert engine.faults.calls


def test_within_a_unit_of_work_nothing_comes_from_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run(store: AsyncStore) -> None:
        await store.calculation_rules.get("ACME", "match")
        used = count_threads_used(store, monkeypatch)
        async with store.unit_of_work() as uow:
            await uow.calculation_rules.get("ACME", "match")
            assert len(used) == 1

    with async_store() as (store, _):
        asyncio.run(run(store))
