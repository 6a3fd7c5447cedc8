"""A value comes into Redis only where the lease, or the value, stands that it was loaded over: compare-and-set."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from bluestar_store import Settings
from bluestar_store.cache.control import CacheRequest, open_on_redis
from bluestar_store.cache.in_flight import InFlightWrites
from bluestar_store.cache.limits import CacheLimits, Counters
from bluestar_store.cache.redis.loading import RedisLoader
from bluestar_store.cache.redis.stored import Fill, OtherLease, OwnLease, Stored, StoredValue, Tombstone, new_token
from bluestar_store.cache.redis.tier import RedisTier
from bluestar_store.cache.tiered import TieredCache
from bluestar_store.clock import SystemClock
from tests.cache.loads import Numbers

KEY = ("rule", "ACME", "match")


@pytest.fixture
def tiers(redis_url: str) -> Iterator[tuple[RedisTier, RedisTier]]:
    """Those of two processes."""
    settings, name = Settings(persistence_mode="memory", redis_url=redis_url), new_token().decode()
    opened = [open_on_redis(CacheRequest(settings, name, {})).cache for _ in range(2)]
    caches = [cache for cache in opened if isinstance(cache, TieredCache)]
    first, second = (cache.attach() for cache in caches)
    yield first, second
    for cache in caches:
        cache.close()


def look(tier: RedisTier) -> Stored:
    """What the key holds, or our lease, which is left there."""
    found = tier.get_or_lease([KEY])
    assert found is not None
    replies, lease, now = found
    return tier.state(KEY, *replies[KEY], lease, now)


def fill(tier: RedisTier, over: Stored, payload: bytes | None) -> bool:
    """Whether a value was stored over what a look has found."""
    assert isinstance(over, OwnLease | StoredValue | OtherLease)
    return bool(tier.fill({KEY: Fill(over.claim, new_token(), payload, 60_000, 60_000)})[KEY])


def test_a_value_is_stored_over_its_lease(tiers: tuple[RedisTier, RedisTier]) -> None:
    one, other = tiers
    own = look(one)
    assert isinstance(own, OwnLease)
    assert isinstance(look(other), OtherLease)
    assert fill(one, own, b"value")
    found = look(other)
    assert isinstance(found, StoredValue)
    assert found.payload == b"value"


def test_a_value_is_refused_where_a_write_has_begun_since(tiers: tuple[RedisTier, RedisTier]) -> None:
    one, other = tiers
    own = look(one)
    other.publisher.put_tombstones([KEY], b"f" * 16, 60)
    assert not fill(one, own, b"before the write")
    assert isinstance(look(one), Tombstone)


def test_a_value_is_refused_where_a_write_has_ended_since(tiers: tuple[RedisTier, RedisTier]) -> None:
    one, other = tiers
    own = look(one)
    other.publisher.put_tombstones([KEY], b"f" * 16, 60)
    other.publisher.remove_tombstones([KEY], b"f" * 16)
    assert not fill(one, own, b"before the write")
    assert isinstance(look(one), OwnLease)


def test_a_value_is_refused_where_another_came_in_since(tiers: tuple[RedisTier, RedisTier]) -> None:
    one, other = tiers
    assert fill(one, look(one), b"first")
    seen = look(one)
    assert fill(other, look(other), b"second")
    assert not fill(one, seen, b"third")
    assert not fill(one, seen, None)  # nor is it removed
    found = look(one)
    assert isinstance(found, StoredValue)
    assert found.payload == b"second"


def test_a_lease_is_given_back_while_it_stands(tiers: tuple[RedisTier, RedisTier]) -> None:
    one, other = tiers
    own = look(one)
    fill(one, own, None)
    theirs = look(other)
    assert isinstance(theirs, OwnLease)
    fill(one, own, None)
    assert isinstance(look(one), OtherLease)
    assert fill(other, theirs, b"value")


def test_of_two_that_take_over_a_lease_one_has_it(tiers: tuple[RedisTier, RedisTier]) -> None:
    one, other = tiers
    look(one)
    hanging = look(other)
    assert isinstance(hanging, OtherLease)
    taken = other.take_over(KEY, hanging)
    assert taken is not None
    assert one.take_over(KEY, hanging) is None
    assert fill(other, taken, b"value")


def test_a_value_that_redis_refuses_is_kept_nowhere(tiers: tuple[RedisTier, RedisTier]) -> None:
    one, other = tiers
    counters, source = Counters(), Numbers()
    limits = CacheLimits.of(Settings(persistence_mode="memory"))
    loader = RedisLoader(limits, counters, SystemClock.monotonic, one, InFlightWrites(SystemClock.monotonic))

    def write() -> None:
        other.publisher.put_tombstones([KEY], b"f" * 16, 60)
        other.publisher.remove_tombstones([KEY], b"f" * 16)

    source.before = write
    assert loader.load([KEY], source, max_age_seconds=math.inf)[KEY].until is None
    assert counters.counts()["fills_refused"] == 1
    source.before = lambda: None
    kept = loader.load([KEY], source, max_age_seconds=math.inf)[KEY]
    assert (kept.value, kept.until is None) == (2, False)
    assert counters.counts()["fills_refused"] == 1
    again = loader.load([KEY], source, max_age_seconds=math.inf)[KEY]
    assert (again.value, source.loads) == (2, 2)


def test_what_is_discarded_or_forgotten_is_no_tombstone(tiers: tuple[RedisTier, RedisTier]) -> None:
    one, other = tiers
    other.publisher.put_tombstones([KEY], b"f" * 16, 60)
    assert one.publisher.discard([KEY])
    assert one.publisher.forget(lambda _: True) == 0
    assert isinstance(look(one), Tombstone)
