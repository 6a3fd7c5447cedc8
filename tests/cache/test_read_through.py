"""Reads through the first tier, without Redis: what is loaded, by whom, and what is kept of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from bluestar_store.cache import read_through
from bluestar_store.cache.in_flight import Bypassed, Loaded
from bluestar_store.cache.limits import AHEAD
from bluestar_store.cache.read_through import Refresher
from bluestar_store.errors import InvalidKeyError, UnavailableError
from bluestar_store.protocols import MISSING, CacheKey, FailedRead, Source, Stale
from bluestar_store.testing import Signal
from tests.cache.first_tier import LIMITS, A, B, C, Setup, Values
from tests.cache.loads import background
from tests.cache.stores import until


@pytest.fixture
def setup() -> Iterator[Setup]:
    made = Setup()
    yield made
    made.reads.close()


@pytest.fixture(autouse=True)
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.random", lambda: 0.0)


# -------------------------------------------------------------------------------------------------------------- fetches


def test_what_is_missing_is_loaded_in_one_call_and_kept(setup: Setup) -> None:
    source = Values(a="v", b="w", c="x")
    assert setup.fetch(source, A) == ["v"]
    assert setup.fetch(source, A) == ["v"]
    assert setup.fetch(source, A, B, C) == ["v", "w", "x"]
    assert source.asked == [[A], [B, C]]
    assert [setup.local.peek(key) for key in (A, B, C)] == ["v", "w", "x"]


def test_a_fresh_read_loads_all_and_keeps_it(setup: Setup) -> None:
    source = Values()
    assert setup.fetch(source, A, B) == [1, 1]
    assert setup.fetch(source, A, B, fresh=True) == [2, 2]
    assert setup.fetch(source, A, B) == [2, 2]


def test_a_fresh_read_does_not_join_a_load_that_is_under_way(setup: Setup) -> None:
    source = Values()
    early = setup.local.begin([A], source.settles)[1]
    assert setup.fetch(source, A, fresh=True) == [1]
    setup.local.finish(early, {A: Loaded("early", object(), 2000)}, math.inf)
    assert setup.local.peek(A) == 1


def test_keys_after_a_value_that_settles_are_not_loaded(setup: Setup) -> None:
    source = Values(a="v")
    source.settling = "v"
    setup.fetch(source, A)
    assert setup.fetch(source, A, B) == ["v"]
    assert source.asked == [[A]]


def test_what_a_load_leaves_out_is_not_kept(setup: Setup) -> None:
    source = Values(b="left out")
    assert setup.fetch(source, A, B) == [1]
    assert setup.local.peek(B) is MISSING
    source.values.clear()
    assert setup.fetch(source, B) == [2]


def test_values_of_different_loads_are_given_together_while_both_are_there(setup: Setup) -> None:
    source = Values()
    setup.fetch(source, A)
    assert setup.fetch(source, A, B) == [1, 2]
    assert source.loads == 2


def test_a_value_that_is_invalidated_while_another_is_loaded_is_loaded_again(setup: Setup) -> None:
    source = Values()
    setup.fetch(source, A)

    def invalidate() -> None:
        source.before = lambda: None
        setup.local.drop([A])

    source.before = invalidate
    assert setup.fetch(source, A, B) == [3, 2]
    assert source.asked == [[A], [B], [A]]


def test_values_that_change_again_and_again_are_loaded_together_at_last(setup: Setup) -> None:
    source = Values()
    setup.fetch(source, A)
    source.before = lambda: setup.local.drop([A if source.asked[-1] == [B] else B])
    found = setup.fetch(source, A, B)
    assert len(set(found)) == 1
    assert source.asked[-1] == [A, B]
    assert len(source.asked) == 1 + read_through.ROUNDS + 1


def test_values_past_redis_of_different_loads_are_not_given_together(setup: Setup) -> None:
    source, moments = Values(), [Bypassed(), Bypassed()]
    for key, moment in zip((A, B), moments, strict=True):
        setup.local.finish(setup.local.begin_anew([key]), {key: Loaded("here", moment, 2000)}, math.inf)
    assert setup.fetch(source, A, B) == [1, 1]
    assert source.asked == [[A, B]]
    setup.local.finish(
        setup.local.begin_anew([A, B]), {key: Loaded("here", moments[0], 2000) for key in (A, B)}, math.inf
    )
    assert setup.fetch(source, A, B) == ["here", "here"]


@pytest.mark.parametrize("settling", ["here", None])
def test_a_value_that_settles_need_not_be_of_one_moment_with_the_next(setup: Setup, settling: str | None) -> None:
    source = Values()
    for key in (A, B):
        setup.local.finish(setup.local.begin_anew([key]), {key: Loaded("here", Bypassed(), 2000)}, math.inf)
    source.settling = settling
    assert setup.fetch(source, A, B) == (["here"] if settling else [1, 1])


def test_a_value_that_settles_is_enough_though_another_of_the_keys_is_of_another_moment(setup: Setup) -> None:
    """The second is loaded by another thread when the first is found, and settles."""
    source = Values(b="v")
    source.settling = "v"
    loads = setup.local.begin([A, C], source.settles)[1]
    answer = waiting(setup, source, A, B, C)
    setup.local.finish(loads, {A: Loaded("a", now := object(), 2000), C: Loaded("c", now)}, math.inf)
    assert answer()[:2] == ["a", "v"]


def test_values_are_kept_shortly_while_invalidations_are_not_heard(setup: Setup) -> None:
    setup.reads.is_degraded = True
    setup.fetch(Values(), A)
    assert setup.local.look(A).expires == 1005  # type: ignore[union-attr]


# --------------------------------------------------------------------------------------------------------------- errors


def failing(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def test_an_error_that_may_pass_is_given_for_each_key(setup: Setup) -> None:
    source, error = Values(), UnavailableError("no engine")
    source.before = failing(error)
    assert setup.fetch(source, A, B) == [FailedRead(error)] * 2
    source.before = lambda: None
    assert setup.fetch(source, A) == [2]


def test_any_other_error_is_raised_and_the_next_read_loads(setup: Setup) -> None:
    source = Values()
    for error in (InvalidKeyError("bad"), ZeroDivisionError()):
        source.before = failing(error)
        with pytest.raises(type(error)):
            setup.fetch(source, A)
        assert list(setup.local.begin([A], source.settles)[1]) == [A]
        setup.local.flush()


def test_a_value_past_its_time_is_served_while_the_engine_fails(setup: Setup) -> None:
    source, error = Values(), UnavailableError("no engine")
    setup.fetch(source, A)
    source.before = failing(error)
    setup.clock.now += 100
    assert setup.fetch(source, A) == [Stale(1, error)]
    setup.clock.now += 49
    assert setup.fetch(source, A) == [Stale(1, error)]
    assert setup.count("stale_served") == 2
    setup.clock.now += 1
    assert setup.fetch(source, A) == [FailedRead(error)]
    assert setup.count("stale_served") == 2


def test_a_fresh_read_is_served_nothing_past_its_time(setup: Setup) -> None:
    source, error = Values(), UnavailableError("no engine")
    setup.fetch(source, A)
    source.before = failing(error)
    setup.clock.now += 100
    assert setup.fetch(source, A, fresh=True) == [FailedRead(error)]


def test_a_stale_value_is_given_with_whatever_else_there_is(setup: Setup) -> None:
    source, error = Values(), UnavailableError("no engine")
    setup.fetch(source, A)
    setup.clock.now += 60
    setup.fetch(source, B)
    setup.clock.now += 40
    source.before = failing(error)
    assert setup.fetch(source, A, B) == [Stale(1, error), 2]
    assert source.asked == [[A], [B], [A]]


# -------------------------------------------------------------------------------------------------------------- waiting


def waiting(setup: Setup, source: Values, *keys: CacheKey) -> Callable[[], list[Any]]:
    """A read by another thread, which waits by now for loads that this one leads."""
    before = setup.count("waits")
    read = background(lambda: setup.fetch(source, *keys))
    until(lambda: setup.count("waits") > before, "the thread waits")
    return lambda: read.result(5)


def test_who_waits_gets_the_value_of_the_leader(setup: Setup) -> None:
    source = Values()
    loads = setup.local.begin([A], source.settles)[1]
    answer = waiting(setup, source, A)
    setup.local.finish(loads, {A: Loaded("v", object())}, math.inf)
    assert answer() == ["v"]
    assert source.loads == 0


def test_who_waits_for_a_load_that_fails_is_served_a_value_past_its_time(setup: Setup) -> None:
    source, error = Values(), UnavailableError("no engine")
    setup.fetch(source, A)
    setup.clock.now += 100
    loads = setup.local.begin([A], source.settles)[1]
    answer = waiting(setup, source, A)
    setup.local.finish_unchanged(A, loads[A], Loaded(FailedRead(error), error))
    (found,) = answer()
    assert isinstance(found, Stale)
    assert found.value == 1
    assert str(found.error) == str(error)


def test_who_waits_for_a_leader_whose_engine_fails_is_told_so(setup: Setup) -> None:
    source, error, read = Values(), UnavailableError("no engine"), list[Callable[[], list[Any]]]()

    def fail() -> None:
        read.append(waiting(setup, Values(), A))
        raise error

    source.before = fail
    assert setup.fetch(source, A) == [FailedRead(error)]
    (found,) = read[0]()
    assert isinstance(found, FailedRead)
    assert found.error is not error
    assert str(found.error) == str(error)


def test_who_waits_for_a_leader_whose_load_raises_raises_the_same(setup: Setup) -> None:
    source, read = Values(), list[Callable[[], list[Any]]]()

    def fail() -> None:
        read.append(waiting(setup, Values(), A))
        raise InvalidKeyError("bad")

    source.before = fail
    with pytest.raises(InvalidKeyError):
        setup.fetch(source, A)
    with pytest.raises(InvalidKeyError, match="bad"):
        read[0]()


def test_who_waits_for_what_cannot_be_read_is_told_so(setup: Setup) -> None:
    source, broken = Values(), FailedRead(InvalidKeyError("broken"))
    setup.fetch(source, A)
    setup.clock.now += 100
    loads = setup.local.begin([A], source.settles)[1]
    answer = waiting(setup, source, A)
    setup.local.finish(loads, {A: Loaded(broken, object())}, math.inf)
    assert isinstance(answer()[0], FailedRead)
    assert setup.count("stale_served") == 0


def test_who_waits_for_a_leader_that_is_interrupted_loads(setup: Setup) -> None:
    source = Values()
    loads = setup.local.begin([A], source.settles)[1]
    answer = waiting(setup, source, A)
    setup.local.abandon(A, loads[A])
    loads[A].fail(KeyboardInterrupt())
    assert answer() == [1]
    assert source.asked == [[A]]


def test_who_waits_for_a_leader_that_hangs_loads(setup: Setup) -> None:
    setup.reads._limits = replace(LIMITS, load_seconds=0.01)
    source = Values()
    setup.local.begin([A], source.settles)
    assert setup.fetch(source, A) == [1]
    assert setup.local.peek(A) == 1


def test_who_waits_for_a_value_that_settles_does_not_wait_for_the_next(setup: Setup) -> None:
    source = Values()
    source.settling = "v"
    loads = setup.local.begin([A, B], source.settles)[1]
    answer = waiting(setup, source, A, B)
    setup.local.finish({A: loads[A]}, {A: Loaded("v", object())}, math.inf)
    assert answer() == ["v"]


# ------------------------------------------------------------------------------------------------------------ refreshes


def test_a_value_that_is_due_is_given_and_refreshed_once(setup: Setup) -> None:
    source, runs = Values(), list[Callable[[], None]]()
    setup.reads._refresher.submit = runs.append  # type: ignore[assignment, method-assign]
    ages = list[float]()
    load = setup.loader.load

    def aged(keys: Sequence[CacheKey], source: Source, *, max_age_seconds: float) -> Mapping[CacheKey, Loaded]:
        ages.append(max_age_seconds)
        return load(keys, source, max_age_seconds=max_age_seconds)

    setup.loader.load = aged  # type: ignore[assignment, method-assign]
    setup.fetch(source, A)
    setup.clock.now += 79
    setup.fetch(source, A)
    assert (runs, setup.count("hits_local")) == ([], 0)
    setup.clock.now += 1
    assert setup.fetch(source, A) == [1]
    assert setup.fetch(source, A) == [1]
    assert (len(runs), setup.count("refreshes")) == (1, 0)
    assert setup.count("hits_local") == 1
    runs[0]()
    assert (setup.local.peek(A), setup.count("refreshes")) == (2, 1)
    assert ages == [math.inf, pytest.approx(100 * AHEAD / 2)]
    setup.local.begin_refresh(A)
    runs[0]()  # another thread is at it
    assert setup.count("refreshes") == 1


def test_a_refresh_that_fails_is_no_error() -> None:
    refresher, done = Refresher(), Signal()
    refresher.submit(failing(UnavailableError("no engine")))
    refresher.submit(done.set)
    done.wait()
    until(lambda: refresher._waiting == 0, "both are over")
    refresher.close()


def test_more_refreshes_than_may_wait_are_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_through, "MAX_REFRESHES", 2)
    refresher, go_on, runs = Refresher(), Signal(), list[int]()

    def wait() -> None:
        go_on.wait()

    refresher.submit(wait)
    refresher.submit(lambda: runs.append(1))
    refresher.submit(lambda: runs.append(2))
    go_on.set()
    until(lambda: refresher._waiting == 0, "they are over")
    assert runs == [1]
    refresher.submit(lambda: runs.append(3))
    until(lambda: runs == [1, 3], "there is room again")
    refresher.close()


def test_a_refresher_that_is_closed_makes_no_more() -> None:
    refresher, runs = Refresher(), list[int]()
    refresher.close()
    refresher.submit(lambda: runs.append(1))
    refresher._run(lambda: runs.append(2))
    assert runs == []


def test_a_cache_that_is_closed_refreshes_no_more(setup: Setup) -> None:
    setup.reads.close()
    assert setup.reads._refresher._closed
    setup.reads.forked()
    assert not setup.reads._refresher._closed
