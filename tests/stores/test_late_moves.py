"""Moves that are made later: by one thread, however many writes wait, and by none once the Store is closed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from unittest.mock import patch

import pytest

from bluestar_store import CalculationRule, Settings, Store, UnavailableError
from bluestar_store.engines.memory.engine import MemoryEngine
from bluestar_store.errors import BlueStarError
from bluestar_store.keys import Key
from bluestar_store.repositories import late_moves
from bluestar_store.repositories.late_moves import LateMoves, Moved
from tests.cache.stores import until

ONE, TWO = ("t", Key("A", "A")), ("t", Key("B", "B"))


def threads() -> int:
    return sum(thread.name == "bluestar-moves" for thread in threading.enumerate())


def refusing(times: int, made: list[Moved], went_on: threading.Event) -> Callable[[Moved], None]:
    def make(moved: Moved) -> None:
        went_on.wait(10)
        made.append(moved)
        if len(made) <= times:
            raise UnavailableError("not now")

    return make


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late_moves, "PAUSES_SECONDS", (0.0, 0.01, 0.01, 0.01))


def test_what_waits_is_made_together_by_one_thread_that_ends() -> None:
    late, made, went_on = LateMoves(), list[Moved](), threading.Event()
    make = refusing(0, made, went_on)
    late.add({ONE: [("r", Key("x", "1"))]}, make)
    until(lambda: not late._waiting, "the first is under way")
    for number in range(200):
        late.add({ONE: [("r", Key("x", str(number)))], TWO: [("r", Key("y", "1"))]}, make)
    assert threads() == 1
    went_on.set()
    until(lambda: threads() == 0, "all is told")
    assert [len(keys) for moved in made for keys in moved.values()] == [1, 200, 1]


def test_what_is_refused_is_tried_again_and_given_up_in_the_end() -> None:
    late, made, went_on = LateMoves(), list[Moved](), threading.Event()
    went_on.set()
    late.add({ONE: []}, refusing(2, made, went_on))
    until(lambda: threads() == 0, "it is told")
    assert len(made) == 3
    late.add({ONE: []}, refusing(100, made, went_on))
    until(lambda: threads() == 0, "it is given up")
    assert len(made) == 3 + 4


def test_a_store_whose_engine_fails_has_one_thread_and_none_when_it_is_closed() -> None:
    engine = MemoryEngine()

    def failing(*_: object) -> None:
        error = UnavailableError("no answer")
        error.outcome_unknown = True
        raise error

    with Store(Settings(persistence_mode="memory"), engine) as store:
        store.create_tables()
        with patch.object(late_moves, "PAUSES_SECONDS", (0.0, 60.0)), patch.object(engine, "write", failing):
            for _ in range(20):
                with pytest.raises(BlueStarError):
                    store.calculation_rules.put(CalculationRule(plan_id="ACME", calc_type="match"))
            assert threads() == 1
            store.close()
            until(lambda: threads() == 0, "it is over")
