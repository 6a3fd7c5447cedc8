"""A fork in the middle of a unit of work: the unit is the parent's, and the child begins without one."""

from __future__ import annotations

import asyncio
import multiprocessing
import re
import threading
from collections.abc import Callable, Iterator
from contextvars import copy_context
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import bluestar_store
from bluestar_store import AsyncStore, RuleNotFoundError, Settings, Store, Trail
from bluestar_store.errors import InvalidWriteError, UnavailableError
from bluestar_store.lazy import cached_property
from bluestar_store.threads import ahead, side_by_side
from tests.cache.stores import rule
from tests.cache.test_fork import in_child

TRAIL = Trail(table="calculation-rules", partition="CLIENT#ACME")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """In a folder, so that parent and child see what the other one wrote."""
    with Store.open(Settings(persistence_mode="file", file_persistence_dir=tmp_path / "store")) as opened:
        opened.create_tables()
        yield opened


def percents(store: Store) -> dict[str, int]:
    """What is there, by type."""
    found = {}
    for calc_type in ("parents", "childs"):
        try:
            found[calc_type] = int(store.calculation_rules.get("ACME", calc_type, fresh=True).max_pct or 0)
        except RuleNotFoundError:
            continue
    return found


def refused(call: Callable[[], Any]) -> None:
    with pytest.raises(InvalidWriteError, match="forked"):
        call()


def test_a_child_begins_without_a_unit_and_what_it_writes_is_written(store: Store) -> None:
    def child() -> dict[str, int]:
        before = percents(store)
        store.calculation_rules.put(rule("ACME", 2, "childs"))
        with store.unit_of_work() as uow:
            uow.audit.append("b1", action="in a unit of its own")
        return before

    with store.unit_of_work() as uow:
        uow.calculation_rules.put(rule("ACME", 1, "parents"))
        assert in_child(child) == {}  # it does not read the parent's writes either
        assert [entry.action for entry in store.audit.entries("b1")] == ["in a unit of its own"]
        assert int(store.calculation_rules.get("ACME", "parents").max_pct or 0) == 1
    assert percents(store) == {"parents": 1, "childs": 2}
    assert [entry.seq for entry in store.audit.entries(TRAIL)] == [1, 2]


def test_a_child_that_comes_to_the_end_of_the_block_is_told_and_commits_nothing(store: Store) -> None:
    outer, inner = store.unit_of_work(), store.unit_of_work()

    def child() -> dict[str, int]:
        for block in (inner, outer):
            refused(partial(block.__exit__, None, None, None))
        return percents(store)

    with outer as uow, inner:
        uow.calculation_rules.put(rule("ACME", 1, "parents"))
        assert in_child(child) == {}
    assert percents(store) == {"parents": 1}
    assert len(store.audit.entries(TRAIL)) == 1


def test_an_error_in_the_child_leaves_the_block_as_it_is_and_the_parent_commits(store: Store) -> None:
    outer, inner = store.unit_of_work(), store.unit_of_work()

    def child() -> dict[str, int]:
        error = RuntimeError("the child's own")
        for block in (inner, outer):
            block.__exit__(RuntimeError, error, None)
        store.calculation_rules.put(rule("ACME", 2, "childs"))
        return percents(store)

    with outer as uow, inner:
        uow.calculation_rules.put(rule("ACME", 1, "parents"))
        assert in_child(child) == {"childs": 2}
    assert percents(store) == {"parents": 1, "childs": 2}


def test_a_context_that_was_copied_before_the_fork_is_refused_rather_than_lost(store: Store) -> None:
    with store.unit_of_work() as uow:
        uow.calculation_rules.put(rule("ACME", 1, "parents"))
        context = copy_context()
        put = lambda: context.run(store.calculation_rules.put, rule("ACME", 2, "childs"))  # noqa: E731
        in_child(lambda: refused(put))
        in_child(lambda: refused(lambda: context.run(percents, store)))
    assert percents(store) == {"parents": 1}


def test_a_child_of_multiprocessing_begins_without_a_unit(store: Store) -> None:
    forking = multiprocessing.get_context("fork")
    with store.unit_of_work() as uow:
        uow.calculation_rules.put(rule("ACME", 1, "parents"))
        process = forking.Process(target=store.calculation_rules.put, args=(rule("ACME", 2, "childs"),))
        process.start()
        process.join(20)
        assert process.exitcode == 0
        assert int(store.calculation_rules.get("ACME", "parents").max_pct or 0) == 1
    assert percents(store) == {"parents": 1, "childs": 2}


def test_a_child_of_a_thread_has_neither_its_own_nor_the_main_threads_unit(store: Store) -> None:
    found: list[Any] = []

    def child() -> None:
        store.calculation_rules.put(rule("ACME", 2, "childs"))

    def thread() -> None:
        with store.unit_of_work() as uow:
            uow.audit.append("b1", action="the thread's")
            found.append(in_child(child))

    with store.unit_of_work() as uow:
        uow.calculation_rules.put(rule("ACME", 1, "parents"))
        forker = threading.Thread(target=thread)
        forker.start()
        forker.join()
        assert found == [None]
    assert percents(store) == {"parents": 1, "childs": 2}
    assert [entry.action for entry in store.audit.entries("b1")] == ["the thread's"]


def test_a_child_of_a_coroutine_begins_without_a_unit(store: Store) -> None:
    async def put(each: AsyncStore) -> None:
        await each.calculation_rules.put(rule("ACME", 2, "childs"))

    async def main(each: AsyncStore) -> None:
        block = each.unit_of_work()
        async with block as uow:
            await uow.calculation_rules.put(rule("ACME", 1, "parents"))
            in_child(lambda: threaded(lambda: asyncio.run(put(each))))
            in_child(lambda: refused(lambda: block.__aexit__(None, None, None).send(None)))

    def threaded(call: Callable[[], Any]) -> None:
        runner = threading.Thread(target=copy_context().run, args=(call,))
        runner.start()
        runner.join()

    asyncio.run(main(AsyncStore(store)))
    assert percents(store) == {"parents": 1, "childs": 2}


def test_a_child_that_is_forked_during_a_bulk_load_records_its_own_changes(store: Store) -> None:
    with store.audit.bulk_entry(TRAIL, action="load", details={}):
        in_child(lambda: store.calculation_rules.put(rule("ACME", 2, "childs")))
        store.calculation_rules.put(rule("ACME", 1, "parents"))
    assert [entry.action for entry in store.audit.entries(TRAIL)] == ["load", "create"]


@pytest.mark.parametrize("begun", [ahead, lambda values: side_by_side(2, lambda value: value, [1, 2, 3])])
def test_a_child_does_not_wait_for_its_parents_threads(begun: Callable[[Iterator[int]], Iterator[int]]) -> None:
    values = begun(iter([1, 2, 3]))
    assert next(values) == 1

    def child() -> None:
        with pytest.raises(UnavailableError, match="forked child"):
            next(values)

    in_child(child)
    assert list(values) == [2, 3]


def test_no_property_takes_a_lock_that_a_fork_could_take_along() -> None:
    """As that of Python 3.11's functools does, one for all objects."""
    for path in Path(bluestar_store.__file__).parent.rglob("*.py"):
        if path.name != "lazy.py":
            assert not re.search("from functools import .*cached_property", path.read_text("utf-8")), path

    class Slow:
        def __init__(self) -> None:
            self.go_on = threading.Event()

        @cached_property
        def value(self) -> int:
            return int(self.go_on.wait(10))

    slow, quick = Slow(), Slow()
    quick.go_on.set()
    threads = [threading.Thread(target=partial(getattr, one, "value"), daemon=True) for one in (slow, quick)]
    for thread in threads:
        thread.start()
    threads[1].join(5)
    assert not threads[1].is_alive()
    slow.go_on.set()
    threads[0].join(10)
    assert (quick.value, slow.value) == (1, 1)
