"""The two tiers together, over a second one that records what it is asked: messages, the channel, the end."""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from bluestar_store.cache import tiered
from bluestar_store.cache.tiered import MOST_TOMBSTONE_SECONDS, Peers, matcher
from bluestar_store.protocols import SETTLING_SECONDS, CacheKey
from tests.cache.first_tier import put
from tests.cache.second_tier import BLOCK, FIELDS, TRUST, A, B, C, Tiers


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


# ------------------------------------------------------------------------------------------------------------- messages


def test_a_message_ends_what_is_cached_of_its_keys(tiers: Tiers) -> None:
    tiers.told(cache_keys=(A, C))
    assert tiers.kept(A, B, C) == [False, True, False]
    assert tiers.remote.events == []
    assert tiers.cache.stats().invalidations_in == 1


def test_a_message_of_a_write_keeps_its_keys_out_until_another_ends_it(tiers: Tiers) -> None:
    tiers.told(cache_keys=(A,), writer=b"w", tombstone_seconds=9)
    assert (tiers.kept(A), tiers.covered(A, B)) == ([False], [True, False])
    tiers.told(cache_keys=(A,), writer=b"another")
    assert tiers.covered(A) == [True]
    tiers.told(cache_keys=(A,), writer=b"w")
    assert tiers.covered(A) == [False]
    tiers.told(cache_keys=(A,), writer=b"w", tombstone_seconds=9)
    tiers.clock.now += 9
    assert tiers.covered(A) == [False]


def test_a_message_keeps_keys_out_for_a_bounded_time(tiers: Tiers) -> None:
    tiers.told(cache_keys=(A,), writer=b"w", tombstone_seconds=10**9)
    tiers.clock.now += max(BLOCK, MOST_TOMBSTONE_SECONDS) - 1
    assert tiers.covered(A) == [True]
    tiers.clock.now += 1
    assert tiers.covered(A) == [False]


@pytest.mark.parametrize("how", [{"legacy": True}, {"unwritten": True}])
def test_what_redis_has_is_not_trusted_after_a_write_without_a_tombstone(tiers: Tiers, how: dict[str, Any]) -> None:
    tiers.told(cache_keys=(A,), writer=b"w", **how)
    assert tiers.remote.events == [("distrust", [A])]


def test_a_message_that_came_under_both_names_counts_once(tiers: Tiers) -> None:
    tiers.told(cache_keys=(A,), legacy=True, sent_twice=True)
    assert tiers.kept(A) == [True]
    tiers.told(cache_keys=(A,), sent_twice=True)
    assert tiers.kept(A) == [False]
    assert tiers.cache.stats().invalidations_in == 1


def test_a_message_that_is_not_signed_ends_no_write(tiers: Tiers) -> None:
    tiers.told(cache_keys=(A,), writer=b"w", tombstone_seconds=9)
    tiers.told(cache_keys=(A,), writer=b"w", signed=False)
    assert tiers.covered(A) == [True]
    tiers.told(cache_keys=(B,), signed=False)
    assert tiers.kept(B) == [False]
    assert tiers.cache.stats().unsigned == 2


@pytest.mark.parametrize("legacy", [False, True])
def test_a_message_of_fields_ends_all_that_matches(tiers: Tiers, legacy: bool) -> None:
    tiers.told(fields={"plan_id": "ACME"}, legacy=legacy)
    assert tiers.kept(A, B, C) == [False, False, True]
    assert tiers.remote.events == ([("forget", [A, B])] if legacy else [])
    tiers.told(kind="config", fields={})
    assert tiers.kept(C) == [False]


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


def test_nothing_that_is_cached_outlives_the_channel(tiers: Tiers) -> None:
    tiers.cache._on_channel(True)
    assert tiers.kept(A) == [False]
    assert tiers.remote.listening_since == 1000
    assert not tiers.cache._reads.is_degraded
    assert tiers.cache.stats().channel
    put(tiers.cache.local, A)
    tiers.cache.local.trusted_until = 5
    tiers.cache._on_channel(False)
    assert tiers.kept(A) == [False]
    assert tiers.remote.listening_since is None
    assert tiers.cache._reads.is_degraded
    assert tiers.cache.local.trusted_until == math.inf
    assert not tiers.cache.stats().channel


def test_a_heartbeat_lets_the_process_answer_from_memory_for_a_time(tiers: Tiers) -> None:
    tiers.cache._on_heartbeat(990)
    assert tiers.cache.local.trusted_until == math.inf  # no channel
    tiers.cache._on_channel(True)
    tiers.cache._on_heartbeat(990)
    assert tiers.cache.local.trusted_until == 990 + TRUST


@pytest.mark.parametrize(("retained", "ended"), [(BLOCK, True), (BLOCK - 1, False)])
def test_writes_from_before_the_channel_are_over_where_redis_has_every_tombstone(
    tiers: Tiers, retained: float, ended: bool
) -> None:
    tiers.told(cache_keys=(A,), writer=b"w", tombstone_seconds=90)
    tiers.clock.now += 1
    tiers.cache._on_channel(True)
    tiers.told(cache_keys=(B,), writer=b"w2", tombstone_seconds=90)
    tiers.remote.retained = retained
    tiers.cache._on_heartbeat(tiers.clock.now)
    assert tiers.covered(A, B) == [not ended, True]


def test_what_changed_lately_is_known_once_the_process_has_listened_for_long_enough(tiers: Tiers) -> None:
    assert tiers.cache.changed_lately(A)
    tiers.cache._on_channel(True)
    tiers.clock.now += SETTLING_SECONDS - 1
    assert tiers.cache.changed_lately(A)
    tiers.clock.now += 1
    assert not tiers.cache.changed_lately(A)
    tiers.told(cache_keys=(A,))
    assert tiers.cache.changed_lately(A)
    alone = Tiers(shared=False)
    assert not alone.cache.changed_lately(A)
    alone.cache.close()


def test_a_forked_child_uses_nothing_of_its_parent(tiers: Tiers) -> None:
    tiers.cache._on_channel(True)
    put(tiers.cache.local, A)
    locks = tiers.cache._lock, tiers.cache.counters._lock
    loader = tiers.cache._reads.loader
    tiers.cache.forked()
    assert tiers.remote.names == ["reset"]
    assert tiers.remote.origin != "origin"
    assert (tiers.kept(A), tiers.cache._channel, tiers.cache._reads.is_degraded) == ([False], False, True)
    assert tiers.cache._lock is not locks[0]
    assert tiers.cache.counters._lock is not locks[1]
    assert tiers.cache._reads.loader is not loader
    assert not tiers.cache._closed
    tiers.cache.close()
    tiers.cache.forked()
    assert tiers.cache._closed


def test_a_closed_cache_keeps_nothing_and_announces_what_waits() -> None:
    made, closed = Tiers("closed tiers"), list[int]()
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
    peers, cache = Peers(), Tiers("gone tiers").cache
    peers.join(cache)
    peers.join(cache)
    assert peers.of("gone tiers") == [cache]
    peers.leave(cache)
    assert (peers.of("gone tiers"), peers._peers) == ([], {})
    lock = peers._lock
    peers.forked()
    assert peers._lock is not lock
    cache.close()


def test_statistics_tell_of_both_tiers(tiers: Tiers) -> None:
    tiers.cache.peek(A)
    tiers.cache.local.flush()
    put(tiers.cache.local, A, weight=60)
    tiers.remote.pending = [1, 2]
    found = tiers.cache.stats()
    assert (found.hits_local, found.flushes, found.entries, found.pending) == (1, 1, 1, 2)
    assert found.bytes == tiers.cache.local.bytes > 60
    assert (found.redis, found.redis_error) == ("closed", None)
    tiers.remote.is_open = True
    assert tiers.cache.stats().redis == "open"
    alone = Tiers(shared=False)
    assert alone.cache.stats().redis == "off"
    alone.cache.close()
