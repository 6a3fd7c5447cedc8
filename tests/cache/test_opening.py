"""What a Store has of its cache: how it is opened, what `store.cache` says and ends; nothing here asks a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bluestar_store import Settings
from bluestar_store.cache.control import (
    CacheControl,
    CacheRequest,
    NullCache,
    OpenedCache,
    clear_quietly,
    open_cache,
    open_in_process,
    open_on_redis,
)
from bluestar_store.cache.limits import CacheLimits
from bluestar_store.cache.redis.connection import RedisCallError
from bluestar_store.cache.redis.stored import StoredValue
from bluestar_store.cache.tiered import TieredCache
from bluestar_store.errors import CacheError
from bluestar_store.protocols import MISSING, CacheKey
from tests.cache.first_tier import LIFE, Clock, Values, put
from tests.cache.second_tier import FIELDS, A, B, C, Tiers

NOWHERE = "redis://127.0.0.1:1/0"
OTHER_KEY = "a" * 43 + "="


def settings(**said: Any) -> Settings:
    return Settings(persistence_mode="memory", **said)


def opened(found: OpenedCache) -> TieredCache:
    assert isinstance(found.cache, TieredCache)
    assert found.control._cache is found.cache
    return found.cache


# -------------------------------------------------------------------------------------------------------------- opening


def test_a_cache_without_redis_is_that_of_the_request() -> None:
    clock, said = Clock(), settings(cache_max_entries=7)
    cache = opened(open_in_process(CacheRequest(said, "spaces", FIELDS, clock=clock)))
    assert (cache.namespace, cache.fields, cache.clock) == ("spaces", FIELDS, clock)
    assert cache.limits == CacheLimits.of(said)
    assert not cache.is_shared
    cache.close()


def test_a_cache_is_opened_by_the_scheme_of_its_url() -> None:
    clock = Clock()
    for url in (None, NOWHERE):
        cache = open_cache(settings(redis_url=url), "spaces", FIELDS, identify=lambda: "found", clock=clock)
        assert isinstance(cache, TieredCache)
        assert (cache.namespace, cache.fields, cache.clock) == ("spaces", FIELDS, clock)
        assert (cache.is_shared, cache.remote) == (url is not None, None)
        cache.close()
    cache = open_cache(settings(redis_url=NOWHERE), "spaces", FIELDS)
    assert isinstance(cache, TieredCache)
    assert cache.remote is not None
    cache.close()


def test_a_cache_on_redis_has_the_names_of_its_environment() -> None:
    clock = Clock()
    cache = opened(open_on_redis(CacheRequest(settings(redis_url=NOWHERE), "spaces", FIELDS, clock=clock)))
    remote = cache.attach()
    publisher = remote.publisher
    assert (cache.namespace, cache.fields, cache.clock, cache.limits) == (
        "spaces",
        FIELDS,
        clock,
        CacheLimits.of(settings()),
    )
    assert remote.client.namespace.name == "spaces"
    assert (publisher.legacy, [one.name for one in publisher.namespaces]) == (None, ["spaces"])
    assert not publisher.signer
    assert len(publisher.origin) == 32
    assert {remote._clock, publisher._clock, remote.client._clock} == {clock}
    assert publisher._counters is remote.client._counters is cache.counters
    cache.close()


def test_a_cache_whose_name_has_to_be_asked_for_has_the_old_one_besides() -> None:
    clock = Clock()
    said = settings(redis_url=NOWHERE, cache_key=OTHER_KEY)
    cache = opened(open_on_redis(CacheRequest(said, "old", FIELDS, lambda: "new", clock)))
    assert (cache.remote, cache.namespace, cache.fields, cache.clock) == (None, "old", FIELDS, clock)
    legacy = cache._legacy
    assert legacy is not None
    assert [one.name for one in legacy.namespaces] == ["old"]
    remote = cache.attach()
    publisher = remote.publisher
    assert tuple(one.name for one in publisher.namespaces) == ("new", "old")
    assert remote.client.namespace.name == "new"
    assert publisher.legacy is not None
    assert publisher.legacy.name == "old"
    assert publisher.origin == legacy.origin
    assert publisher.signer is legacy.signer
    assert publisher.signer
    assert publisher.client.topology is not legacy.client.topology
    assert {remote._clock, legacy._clock} == {clock}
    assert legacy._counters is publisher._counters is cache.counters
    cache.close()


def test_no_two_processes_have_one_name() -> None:
    caches = [opened(open_on_redis(CacheRequest(settings(redis_url=NOWHERE), "spaces", {}))) for _ in range(2)]
    assert len({cache.attach().publisher.origin for cache in caches}) == 2
    for cache in caches:
        cache.close()


def test_the_cache_that_stores_nothing_loads_each_key_once() -> None:
    source, cache = Values(), NullCache()
    assert cache.fetch([("a",), ("b",), ("a",)], source, fresh=False) == {("a",): 1, ("b",): 1}
    assert source.asked == [[("a",), ("b",)]]
    assert (cache.peek(("a",)), cache.peek_all([("a",)], bool), cache.changed_lately(("a",))) == (MISSING, None, False)
    assert cache.peek_first(("a",), (), (), None) is MISSING  # type: ignore[arg-type]  # asked for nothing
    with cache.writing([("a",)]) as before_attempt:
        assert before_attempt is None


# -------------------------------------------------------------------------------------------------------------- control


@pytest.fixture
def tiers() -> Iterator[Tiers]:
    made = Tiers("controlled")
    for key in (A, B, C):
        put(made.cache.local, key)
    yield made
    made.cache.close()


def alone() -> tuple[Tiers, CacheControl]:
    made = Tiers("alone", shared=False)
    return made, CacheControl(made.cache)


def test_a_key_is_explained_by_its_entry(tiers: Tiers) -> None:
    control = CacheControl(tiers.cache)
    tiers.clock.now += 30
    put(tiers.cache.local, B, None)
    found = control.explain(A)
    assert (found.cache_key, found.tier, found.absent) == (A, "process", False)
    assert (found.age_seconds, found.expires_in_seconds, found.note) == (30, LIFE - 30, None)
    assert (control.explain(B).tier, control.explain(B).absent) == ("process", True)


@pytest.mark.parametrize(("payload", "absent"), [(b'[["a"],[]]', True), (b'[["a"],[{"n":1}]]', False)])
def test_a_key_is_explained_by_what_redis_has(tiers: Tiers, payload: bytes, absent: bool) -> None:
    tiers.remote.held = StoredValue(b"t" * 16, payload, 2500, 7500)
    tiers.clock.now += LIFE
    found = CacheControl(tiers.cache).explain(A)
    assert (found.cache_key, found.tier, found.absent) == (A, "redis", absent)
    assert (found.age_seconds, found.expires_in_seconds, found.note) == (2.5, 7.5, None)
    assert tiers.remote.events == [("inspect", A)]


def test_a_key_that_has_no_value_is_explained_by_what_is_known(tiers: Tiers) -> None:
    tiers.cache.local.flush()
    found = CacheControl(tiers.cache).explain(A)
    assert (found.cache_key, found.tier, found.absent, found.note) == (A, "nowhere", None, "it is being written")
    made, control = alone()
    assert (control.explain(A).cache_key, control.explain(A).tier, control.explain(A).note) == (A, "nowhere", None)
    put(made.cache.local, A)
    made.clock.now += LIFE
    assert control.explain(A).tier == "nowhere"
    made.cache.close()


def test_an_invalidation_ends_what_matches_in_both_tiers_and_counts_it(tiers: Tiers) -> None:
    control = CacheControl(tiers.cache)
    assert control.invalidate("rule", {"calc_type": "match"}) == 1 + 1
    assert tiers.kept(A, B, C) == [False, True, True]
    assert tiers.remote.events == [("forget", [A]), ("matching", "rule", {"calc_type": "match"})]
    assert control.clear() == 2 + 3
    assert tiers.remote.events[2:] == [("forget", [A, B, C]), ("matching", None, {})]


def test_a_value_that_comes_in_while_others_are_told_is_ended_too(tiers: Tiers) -> None:
    tiers.remote.while_publishing = lambda: put(tiers.cache.local, A)
    CacheControl(tiers.cache).invalidate("rule")
    assert tiers.kept(A) == [False]


def test_an_invalidation_of_which_nobody_is_told_says_so(tiers: Tiers) -> None:
    control = CacheControl(tiers.cache)
    tiers.remote.published = False
    with pytest.raises(CacheError) as caught:
        control.clear()
    assert str(caught.value) == (
        "forgotten in this process only, Redis cannot be told (no answer): other processes follow within their "
        "cache_ttl_seconds, or repeat this when Redis is back"
    )
    tiers.cache.counters.failed("a reason")
    with pytest.raises(CacheError, match=r"cannot be told \(a reason\)"):
        control.clear()
    tiers.remote.error = RedisCallError("another reason")
    with pytest.raises(CacheError, match=r"cannot be told \(another reason\)"):
        control.clear()
    with pytest.raises(CacheError, match="Redis cannot be asked: another reason"):
        control.held()


def test_a_failure_to_tell_is_told_to_whom_one_wants(tiers: Tiers) -> None:
    told = list[object]()
    tell: Callable[[str], object] = told.append
    clear_quietly(CacheControl(tiers.cache), tell)
    assert told == []
    tiers.remote.error = RedisCallError("a reason")
    clear_quietly(CacheControl(tiers.cache), tell)
    assert len(told) == 1
    assert "a reason" in str(told[0])


def test_a_kind_or_field_that_does_not_exist_is_refused() -> None:
    made, control = alone()
    with pytest.raises(ValueError, match=r"^there is no kind 'plan'; there are rule, config, limits$"):
        control.invalidate("plan")
    with pytest.raises(ValueError, match=r"^there is no field year in the keys of rule$"):
        control.invalidate("rule", {"year": 1})
    with pytest.raises(ValueError, match=r"^there is no field a, b in the keys of any kind$"):
        control.invalidate(None, {"b": 1, "a": 1, "plan_id": 1})
    put(made.cache.local, A)
    assert control.invalidate("rule", {"calc_type": "match"}) == 1
    assert control.invalidate(None, {"year": 1}) == 0
    assert control.held() == {}
    made.cache.close()


def test_what_redis_holds_is_counted_by_kind(tiers: Tiers) -> None:
    tiers.remote.keys = [C, A, B]
    found = CacheControl(tiers.cache).held()
    assert list(found.items()) == [("config", 1), ("rule", 2)]


def test_the_control_passes_statistics_and_listeners_on() -> None:
    made, control = alone()
    told = list[tuple[str, int]]()
    control.listen(lambda name, amount: told.append((name, amount)))
    made.cache.counters.add("loads", 2)
    assert (told, control.stats().loads) == ([("loads", 2)], 2)
    made.cache.close()


def test_a_key_has_one_meaning_for_keys_of_any_width() -> None:
    made, control = alone()
    keys: list[CacheKey] = [("rule*", "ACME"), ("limits", 2026)]
    for key in keys:
        put(made.cache.local, key)
    assert control.invalidate("rule", {"plan_id": "ACME", "calc_type": "match"}) == 1
    assert control.invalidate("limits", {"year": "2026"}) == 1
    made.cache.close()
