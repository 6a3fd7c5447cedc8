"""The two tiers together, with a second one that only records what it is asked: writes, messages, the channel."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from bluestar_store.cache import tiered
from bluestar_store.cache.limits import Counters
from bluestar_store.cache.redis.listener import Received
from bluestar_store.cache.redis.messages import Message
from bluestar_store.cache.tiered import MOST_TOMBSTONE_SECONDS, Peers, TieredCache, matcher
from bluestar_store.errors import (
    BlueStarError,
    ConfigurationError,
    ConflictError,
    InvalidEntityError,
    InvalidWriteError,
    ItemTooLargeError,
    UnavailableError,
)
from bluestar_store.protocols import SETTLING_SECONDS, CacheKey
from tests.cache.first_tier import LIMITS, Clock, put

A, B, C = ("rule", "ACME", "match"), ("rule", "ACME", "loan"), ("config", "NEWCO")
FIELDS = {"rule": ("plan_id", "calc_type"), "rule*": ("plan_id",), "config": ("plan_id",), "limits": ("year",)}
BLOCK = LIMITS.block_seconds
TRUST = LIMITS.trust_seconds


class Recorder:
    """Stands for a RedisTier and its publisher."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.publisher = self.client = self
        self.listening_since: float | None = None
        self.is_open, self.retained, self.pending, self.origin = False, 0.0, list[object](), "origin"

    def put_tombstones(self, keys: Iterable[CacheKey], writer: bytes, seconds: float) -> None:
        self.events.append(("put", list(keys), writer, seconds))

    def remove_tombstones(self, keys: Iterable[CacheKey], writer: bytes) -> None:
        self.events.append(("remove", list(keys), writer))

    def distrust(self, keys: Iterable[CacheKey]) -> None:
        self.events.append(("distrust", list(keys)))

    def forget_quietly(self, matches: Callable[[CacheKey], bool]) -> None:
        self.events.append(("forget", [key for key in (A, B, C) if matches(key)]))

    def retained_seconds(self) -> float:
        return self.retained

    def recover(self) -> None:
        self.events.append(("recover",))

    def reset(self) -> None:
        self.events.append(("reset",))

    def close(self) -> None:
        self.events.append(("close",))

    @property
    def names(self) -> list[str]:
        return [event[0] for event in self.events]


class Setup:
    def __init__(self, namespace: str = "tiers", *, shared: bool = True) -> None:
        self.clock, self.remote = Clock(), Recorder()
        remote: Any = self.remote if shared else None
        self.cache = TieredCache(LIMITS, namespace, FIELDS, Counters(), remote=remote, clock=self.clock)

    def told(self, *, legacy: bool = False, signed: bool = True, **said: Any) -> None:
        self.cache._on_message(Received(Message("elsewhere", **said), legacy, signed))

    def kept(self, *keys: CacheKey) -> list[bool]:
        return [self.cache.local.look(key) is not None for key in keys]

    def covered(self, *keys: CacheKey) -> list[bool]:
        return [self.cache.local.writes.cover(key) for key in keys]


@pytest.fixture(autouse=True)
def awake(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The clock that counts a suspended computer."""
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(tiered, "continuous", lambda: now.seconds)
    return now


@pytest.fixture
def setup() -> Iterator[Setup]:
    made = Setup()
    made.cache._start = lambda: None  # type: ignore[method-assign]  # no thread
    for key in (A, B, C):
        put(made.cache.local, key)
    yield made
    made.cache.close()


# --------------------------------------------------------------------------------------------------------------- writes


def test_a_write_keeps_its_keys_out_until_it_is_over(setup: Setup) -> None:
    with setup.cache.writing([A, B, A]):
        ((name, keys, writer, seconds),) = setup.remote.events
        assert (name, keys, seconds) == ("put", [A, B], BLOCK)
        assert setup.kept(A, B, C) == [False, False, True]
        assert setup.covered(A, B, C) == [True, True, False]
    assert setup.remote.events[1:] == [("remove", [A, B], writer)]
    assert setup.covered(A, B, C) == [False, False, False]


def test_every_write_has_a_name_of_its_own(setup: Setup) -> None:
    for _ in range(2):
        with setup.cache.writing([A]):
            pass
    assert len({event[2] for event in setup.remote.events}) == 2


def test_what_is_stored_during_a_write_is_gone_after_it(setup: Setup) -> None:
    with setup.cache.writing([A]):
        setup.cache.local.writes.reset()
        put(setup.cache.local, A)
    assert setup.kept(A) == [False]


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
def test_a_write_that_was_refused_is_over(setup: Setup, error: BlueStarError) -> None:
    with pytest.raises(type(error)), setup.cache.writing([A]):
        raise error
    assert setup.remote.names == ["put", "remove"]
    assert setup.covered(A) == [False]


@pytest.mark.parametrize("error", [UnavailableError("no answer"), KeyboardInterrupt(), ValueError()], ids=repr)
def test_a_write_of_unknown_outcome_keeps_its_keys_out_as_long_as_it_may_come(
    setup: Setup, error: BaseException
) -> None:

    def write() -> None:
        with setup.cache.writing([A]):
            setup.clock.now += 5
            raise error

    with pytest.raises(type(error)):
        write()
    assert setup.remote.names == ["put", "put"]
    assert setup.remote.events[0][1:] == setup.remote.events[1][1:]
    setup.clock.now += BLOCK - 1
    assert setup.covered(A) == [True]
    setup.clock.now += 1
    assert setup.covered(A) == [False]


@pytest.mark.parametrize("which", ["the cache's clock", "a suspended computer"])
def test_tombstones_are_renewed_before_an_attempt_when_more_than_half_their_time_is_over(
    setup: Setup, awake: SimpleNamespace, which: str
) -> None:
    def pass_by(seconds: float) -> None:
        if which == "the cache's clock":
            setup.clock.now += seconds
        else:
            awake.seconds += seconds

    with setup.cache.writing([A]) as before_attempt:
        pass_by(BLOCK / 2)
        before_attempt()
        assert setup.remote.names == ["put"]
        pass_by(1)
        before_attempt()
        assert setup.remote.names == ["put", "put"]
        pass_by(BLOCK / 2)
        before_attempt()
        assert setup.remote.names == ["put", "put"]
        pass_by(1)
        before_attempt()
        assert setup.remote.names == ["put", "put", "put"]
    assert len({event[2] for event in setup.remote.events}) == 1


def test_a_write_is_seen_by_every_cache_of_the_process_that_shares_the_data(setup: Setup) -> None:
    peer, other = Setup(), Setup("other tiers")
    try:
        for one in (peer, other):
            put(one.cache.local, A)
        with setup.cache.writing([A]):
            assert [one.kept(A) + one.covered(A) for one in (peer, other)] == [[False, True], [True, False]]
        assert peer.covered(A) == [False]
        assert peer.remote.events == []
        assert set(setup.cache.peers()) == {setup.cache, peer.cache}
        assert setup.cache.forget_here(lambda key: key == B) == 1
    finally:
        peer.cache.close()
        other.cache.close()
    assert setup.cache.peers() == [setup.cache]


def test_a_writer_that_finds_redis_out_of_the_path_looks_for_it_at_once(setup: Setup) -> None:
    with setup.cache.writing([A]):
        setup.remote.is_open = True
    assert setup.remote.names == ["put", "remove", "recover"]
    setup.cache._listener = SimpleNamespace(close=lambda: None)  # type: ignore[assignment]  # it will look
    with setup.cache.writing([A]):
        pass
    assert setup.remote.names[3:] == ["put", "remove"]


def test_a_cache_without_a_second_tier_writes_alone() -> None:
    alone = Setup(shared=False)
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


# ------------------------------------------------------------------------------------------------------------- messages


def test_a_message_ends_what_is_cached_of_its_keys(setup: Setup) -> None:
    setup.told(cache_keys=(A, C))
    assert setup.kept(A, B, C) == [False, True, False]
    assert setup.remote.events == []
    assert setup.cache.stats().invalidations_in == 1


def test_a_message_of_a_write_keeps_its_keys_out_until_another_ends_it(setup: Setup) -> None:
    setup.told(cache_keys=(A,), writer=b"w", tombstone_seconds=9)
    assert (setup.kept(A), setup.covered(A, B)) == ([False], [True, False])
    setup.told(cache_keys=(A,), writer=b"another")
    assert setup.covered(A) == [True]
    setup.told(cache_keys=(A,), writer=b"w")
    assert setup.covered(A) == [False]
    setup.told(cache_keys=(A,), writer=b"w", tombstone_seconds=9)
    setup.clock.now += 9
    assert setup.covered(A) == [False]


def test_a_message_keeps_keys_out_for_a_bounded_time(setup: Setup) -> None:
    setup.told(cache_keys=(A,), writer=b"w", tombstone_seconds=10**9)
    setup.clock.now += max(BLOCK, MOST_TOMBSTONE_SECONDS) - 1
    assert setup.covered(A) == [True]
    setup.clock.now += 1
    assert setup.covered(A) == [False]


@pytest.mark.parametrize("how", [{"legacy": True}, {"unwritten": True}])
def test_what_redis_has_is_not_trusted_after_a_write_without_a_tombstone(setup: Setup, how: dict[str, Any]) -> None:
    setup.told(cache_keys=(A,), writer=b"w", **how)
    assert setup.remote.events == [("distrust", [A])]


def test_a_message_that_came_under_both_names_counts_once(setup: Setup) -> None:
    setup.told(cache_keys=(A,), legacy=True, sent_twice=True)
    assert setup.kept(A) == [True]
    setup.told(cache_keys=(A,), sent_twice=True)
    assert setup.kept(A) == [False]
    assert setup.cache.stats().invalidations_in == 1


def test_a_message_that_is_not_signed_ends_no_write(setup: Setup) -> None:
    setup.told(cache_keys=(A,), writer=b"w", tombstone_seconds=9)
    setup.told(cache_keys=(A,), writer=b"w", signed=False)
    assert setup.covered(A) == [True]
    setup.told(cache_keys=(B,), signed=False)
    assert setup.kept(B) == [False]
    assert setup.cache.stats().unsigned == 2


@pytest.mark.parametrize("legacy", [False, True])
def test_a_message_of_fields_ends_all_that_matches(setup: Setup, legacy: bool) -> None:
    setup.told(fields={"plan_id": "ACME"}, legacy=legacy)
    assert setup.kept(A, B, C) == [False, False, True]
    assert setup.remote.events == ([("forget", [A, B])] if legacy else [])
    setup.told(kind="config", fields={})
    assert setup.kept(C) == [False]


def test_keys_match_by_the_fields_that_they_have() -> None:
    def matching(kind: str | None, **wanted: Any) -> list[CacheKey]:
        matches = matcher(FIELDS, kind, wanted)
        return [key for key in (A, B, C, ("rule*", "ACME"), ("limits", 2026), ("unknown", "ACME")) if matches(key)]

    assert matching(None, plan_id="ACME") == [A, B, ("rule*", "ACME")]
    assert matching(None, plan_id="ACME", calc_type="match") == [A, ("rule*", "ACME")]
    assert matching("rule", calc_type="loan") == [B, ("rule*", "ACME")]
    assert matching("rule") == [A, B, ("rule*", "ACME")]
    assert matching(None, year="2026") == [("limits", 2026)]
    assert matching("config", plan_id="ACME") == []
    assert len(matching(None)) == 6


# -------------------------------------------------------------------------------------------------------------- channel


def test_nothing_that_is_cached_outlives_the_channel(setup: Setup) -> None:
    setup.cache._on_channel(True)
    assert setup.kept(A) == [False]
    assert setup.remote.listening_since == 1000
    assert not setup.cache._reads.is_degraded
    assert setup.cache.stats().channel
    put(setup.cache.local, A)
    setup.cache.local.trusted_until = 5
    setup.cache._on_channel(False)
    assert setup.kept(A) == [False]
    assert setup.remote.listening_since is None
    assert setup.cache._reads.is_degraded
    assert setup.cache.local.trusted_until == math.inf
    assert not setup.cache.stats().channel


def test_a_heartbeat_lets_the_process_answer_from_memory_for_a_time(setup: Setup) -> None:
    setup.cache._on_heartbeat(990)
    assert setup.cache.local.trusted_until == math.inf  # no channel
    setup.cache._on_channel(True)
    setup.cache._on_heartbeat(990)
    assert setup.cache.local.trusted_until == 990 + TRUST


@pytest.mark.parametrize(("retained", "ended"), [(BLOCK, True), (BLOCK - 1, False)])
def test_writes_from_before_the_channel_are_over_where_redis_has_every_tombstone(
    setup: Setup, retained: float, ended: bool
) -> None:
    setup.told(cache_keys=(A,), writer=b"w", tombstone_seconds=90)
    setup.clock.now += 1
    setup.cache._on_channel(True)
    setup.told(cache_keys=(B,), writer=b"w2", tombstone_seconds=90)
    setup.remote.retained = retained
    setup.cache._on_heartbeat(setup.clock.now)
    assert setup.covered(A, B) == [not ended, True]


def test_what_changed_lately_is_known_once_the_process_has_listened_for_long_enough(setup: Setup) -> None:
    assert setup.cache.changed_lately(A)
    setup.cache._on_channel(True)
    setup.clock.now += SETTLING_SECONDS - 1
    assert setup.cache.changed_lately(A)
    setup.clock.now += 1
    assert not setup.cache.changed_lately(A)
    setup.told(cache_keys=(A,))
    assert setup.cache.changed_lately(A)
    alone = Setup(shared=False)
    assert not alone.cache.changed_lately(A)
    alone.cache.close()


def test_a_forked_child_uses_nothing_of_its_parent(setup: Setup) -> None:
    setup.cache._on_channel(True)
    put(setup.cache.local, A)
    locks = setup.cache._lock, setup.cache.counters._lock
    loader = setup.cache._reads.loader
    setup.cache.forked()
    assert setup.remote.names == ["reset"]
    assert setup.remote.origin != "origin"
    assert (setup.kept(A), setup.cache._channel, setup.cache._reads.is_degraded) == ([False], False, True)
    assert setup.cache._lock is not locks[0]
    assert setup.cache.counters._lock is not locks[1]
    assert setup.cache._reads.loader is not loader
    assert not setup.cache._closed
    setup.cache.close()
    setup.cache.forked()
    assert setup.cache._closed


def test_a_closed_cache_keeps_nothing_and_announces_what_waits() -> None:
    made, closed = Setup("closed tiers"), list[int]()
    made.cache._listener = SimpleNamespace(close=lambda: closed.append(1))  # type: ignore[assignment]
    made.remote.pending.append("a notice")
    for _ in range(2):
        made.cache.close()
    assert closed == [1]
    assert made.remote.names == ["recover", "close", "recover", "close"]
    assert made.cache.peers() == []
    put(made.cache.local, A)
    assert made.kept(A) == [False]
    made.remote.pending.clear()
    made.cache.close()
    assert made.remote.names[4:] == ["close"]


def test_a_cache_that_is_gone_is_no_peer() -> None:
    peers, cache = Peers(), Setup("gone tiers").cache
    peers.join(cache)
    peers.join(cache)
    assert peers.of("gone tiers") == [cache]
    peers.leave(cache)
    assert (peers.of("gone tiers"), peers._peers) == ([], {})
    lock = peers._lock
    peers.forked()
    assert peers._lock is not lock
    cache.close()


def test_statistics_tell_of_both_tiers(setup: Setup) -> None:
    setup.cache.peek(A)
    setup.cache.local.flush()
    put(setup.cache.local, A, weight=60)
    setup.remote.pending = [1, 2]
    found = setup.cache.stats()
    assert (found.hits_local, found.flushes, found.entries, found.pending) == (1, 1, 1, 2)
    assert found.bytes == setup.cache.local.bytes > 60
    assert (found.redis, found.redis_error) == ("closed", None)
    setup.remote.is_open = True
    assert setup.cache.stats().redis == "open"
    alone = Setup(shared=False)
    assert alone.cache.stats().redis == "off"
    alone.cache.close()
