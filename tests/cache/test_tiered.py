"""The two tiers together, over a second one that records what it is asked: the order of a write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from bluestar_store.cache import tiered
from bluestar_store.cache.limits import Counters
from bluestar_store.cache.tiered import TieredCache
from bluestar_store.errors import (
    BlueStarError,
    ConfigurationError,
    ConflictError,
    InvalidEntityError,
    InvalidWriteError,
    ItemTooLargeError,
    UnavailableError,
)
from tests.cache.first_tier import LIMITS, Clock, put
from tests.cache.second_tier import BLOCK, FIELDS, A, B, C, Recorder, Tiers


@pytest.fixture(autouse=True)
def awake(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The clock that counts a suspended computer."""
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(tiered, "continuous", lambda: now.seconds)
    return now


@pytest.fixture
def tiers() -> Iterator[Tiers]:
    made = Tiers()
    made.cache._start = lambda: None  # type: ignore[method-assign]  # no thread
    for key in (A, B, C):
        put(made.cache.local, key)
    yield made
    made.cache.close()


def test_a_write_keeps_its_keys_out_until_it_is_over(tiers: Tiers) -> None:
    with tiers.cache.writing([A, B, A]):
        ((name, keys, writer, seconds),) = tiers.remote.events
        assert (name, keys, seconds) == ("put", [A, B], BLOCK)
        assert tiers.kept(A, B, C) == [False, False, True]
        assert tiers.covered(A, B, C) == [True, True, False]
    assert tiers.remote.events[1:] == [("remove", [A, B], writer)]
    assert tiers.covered(A, B, C) == [False, False, False]


def test_every_write_has_a_name_of_its_own(tiers: Tiers) -> None:
    for _ in range(2):
        with tiers.cache.writing([A]):
            pass
    assert len({event[2] for event in tiers.remote.events}) == 2


def test_what_is_stored_during_a_write_is_gone_after_it(tiers: Tiers) -> None:
    with tiers.cache.writing([A]):
        tiers.cache.local.writes.reset()
        put(tiers.cache.local, A)
    assert tiers.kept(A) == [False]


@pytest.mark.parametrize(
    "error",
    [
        InvalidWriteError("never sent"),
        ConflictError("refused"),
        ItemTooLargeError("never sent"),
        InvalidEntityError("never sent"),
        ConfigurationError("never sent"),
    ],
    ids=repr,
)
def test_a_write_that_was_refused_is_over(tiers: Tiers, error: BlueStarError) -> None:
    with pytest.raises(type(error)), tiers.cache.writing([A]):
        raise error
    assert tiers.remote.names == ["put", "remove"]
    assert tiers.covered(A) == [False]


@pytest.mark.parametrize("error", [UnavailableError("no answer"), KeyboardInterrupt(), ValueError()], ids=repr)
def test_a_write_of_unknown_outcome_keeps_its_keys_out_as_long_as_it_may_come(
    tiers: Tiers, error: BaseException
) -> None:

    def write() -> None:
        with tiers.cache.writing([A]):
            tiers.clock.now += 5
            raise error

    with pytest.raises(type(error)):
        write()
    assert tiers.remote.names == ["put", "put"]
    assert tiers.remote.events[0][1:] == tiers.remote.events[1][1:]
    tiers.clock.now += BLOCK - 1
    assert tiers.covered(A) == [True]
    tiers.clock.now += 1
    assert tiers.covered(A) == [False]


@pytest.mark.parametrize("which", ["the cache's clock", "a suspended computer"])
def test_tombstones_are_renewed_before_an_attempt_when_more_than_half_their_time_is_over(
    tiers: Tiers, awake: SimpleNamespace, which: str
) -> None:
    def pass_by(seconds: float) -> None:
        if which == "the cache's clock":
            tiers.clock.now += seconds
        else:
            awake.seconds += seconds

    with tiers.cache.writing([A]) as before_attempt:
        pass_by(BLOCK / 2)
        before_attempt()
        assert tiers.remote.names == ["put"]
        pass_by(1)
        before_attempt()
        assert tiers.remote.names == ["put", "put"]
        pass_by(BLOCK / 2)
        before_attempt()
        assert tiers.remote.names == ["put", "put"]
        pass_by(1)
        before_attempt()
        assert tiers.remote.names == ["put", "put", "put"]
    assert len({event[2] for event in tiers.remote.events}) == 1


def test_a_write_is_seen_by_every_cache_of_the_process_that_shares_the_data(tiers: Tiers) -> None:
    peer, other = Tiers(), Tiers("other tiers")
    try:
        for one in (peer, other):
            put(one.cache.local, A)
        with tiers.cache.writing([A]):
            assert [one.kept(A) + one.covered(A) for one in (peer, other)] == [[False, True], [True, False]]
        assert peer.covered(A) == [False]
        assert peer.remote.events == []
        assert set(tiers.cache.peers()) == {tiers.cache, peer.cache}
        assert tiers.cache.forget_here(lambda key: key == B) == 1
    finally:
        peer.cache.close()
        other.cache.close()
    assert tiers.cache.peers() == [tiers.cache]


def test_a_writer_that_finds_redis_out_of_the_path_looks_for_it_at_once(tiers: Tiers) -> None:
    with tiers.cache.writing([A]):
        tiers.remote.is_open = True
    assert tiers.remote.names == ["put", "remove", "recover"]
    tiers.cache._listener = SimpleNamespace(close=lambda: None)  # type: ignore[assignment]  # it will look
    with tiers.cache.writing([A]):
        pass
    assert tiers.remote.names[3:] == ["put", "remove"]


def test_a_cache_without_a_second_tier_writes_alone() -> None:
    alone = Tiers(shared=False)
    put(alone.cache.local, A)
    with suppress(UnavailableError), alone.cache.writing([A]):
        assert alone.kept(A) + alone.covered(A) == [False, True]
        raise UnavailableError("no answer")
    assert alone.covered(A) == [True]
    with pytest.raises(ConfigurationError, match="BLUESTAR_REDIS_URL"):
        alone.cache.attach()
    alone.cache.close()


class Finder:
    """Finds the second tier, once it can."""

    def __init__(self, remote: Recorder | None, legacy: Recorder | None) -> None:
        self.remote, self.legacy, self.is_denied = remote, legacy, False

    def find(self) -> Any:
        if self.remote is None:
            raise UnavailableError("not found yet")
        return self.remote

    def forked(self) -> None:
        self.remote = None


def test_a_write_is_announced_under_the_old_names_while_todays_are_not_found() -> None:
    legacy, remote = Recorder(), Recorder()
    finder: Any = Finder(None, legacy)
    cache = TieredCache(LIMITS, "found tiers", FIELDS, Counters(), finder=finder, clock=Clock())
    assert cache.stats().redis == "open"
    with cache.writing([A]):
        pass
    assert legacy.names == ["put", "remove"]
    assert cache.stats().redis_error == "not found yet"
    finder.is_denied = True
    assert cache.stats().redis == "off"
    finder.remote = remote
    with cache.writing([A]):
        pass
    assert remote.names == ["put", "remove"]
    assert cache.remote is finder.remote
    assert cache.stats().redis == "closed"
    legacy.pending, remote.pending = [1], [2, 3]
    assert cache.stats().pending == 3
    cache.close()
    assert (legacy.names[2:], remote.names[2:]) == (["recover", "close"], ["recover", "close"])
