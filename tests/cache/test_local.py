"""The first tier alone: what is answered out of the process, until when, and what is evicted."""

from __future__ import annotations

import pytest

from bluestar_store.cache import local as module
from bluestar_store.cache.in_flight import Bypassed
from bluestar_store.cache.local import ENTRY_BYTES, LocalCache
from bluestar_store.protocols import MISSING, CacheKey
from tests.cache.first_tier import DUE, GLOBAL, KEY, KIND, LIFE, OTHER, OWN, Clock, Derived, never, put


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def local(clock: Clock) -> LocalCache:
    return LocalCache(10, 10**6, clock)


# ---------------------------------------------------------------------------------------------------------------- peeks


def test_a_value_is_given_until_it_is_due(local: LocalCache, clock: Clock) -> None:
    assert local.peek(KEY) is MISSING
    put(local)
    clock.now += DUE - 1
    assert local.peek(KEY) == "v"
    clock.now += 1
    assert local.peek(KEY) is MISSING
    assert local.hits == 1


def test_an_absence_is_a_value(local: LocalCache) -> None:
    put(local, value=None)
    for hits in (1, 2):
        assert local.peek(KEY) is None
        assert local.hits == hits


def test_nothing_is_given_once_redis_has_to_be_asked_first(local: LocalCache, clock: Clock) -> None:
    put(local, value=None)
    put(local, OTHER)
    local.trusted_until = clock.now + 1
    assert local.peek(KEY) is None
    clock.now += 1
    assert local.peek(KEY) is MISSING
    assert local.peek_first(KIND, OWN, GLOBAL, Derived()) is MISSING
    assert local.peek_all([KEY], never) is None
    here, leading, _ = local.begin([KEY], never)
    assert (here, list(leading)) == ({}, [KEY])


def test_the_first_of_two_is_the_own_value(local: LocalCache) -> None:
    put(local, KEY, "own")
    derived = Derived()
    for hits in (1, 2):
        assert local.peek_first(KIND, OWN, GLOBAL, derived) == "own"
        assert (local.hits, derived.made) == (hits, 0)


def test_the_first_of_two_is_derived_from_the_other_once(local: LocalCache) -> None:
    put(local, KEY, None)
    put(local, OTHER, "shared")
    derived = Derived()
    for hits in (2, 4):
        assert local.peek_first(KIND, OWN, GLOBAL, derived) == "shared for ACME"
        assert (local.hits, derived.made) == (hits, 1)
    put(local, OTHER, "changed")
    assert local.peek_first(KIND, OWN, GLOBAL, derived) == "changed for ACME"
    assert derived.made == 2


def test_two_absences_are_one(local: LocalCache) -> None:
    put(local, KEY, None)
    put(local, OTHER, None)
    assert local.peek_first(KIND, OWN, GLOBAL, Derived()) is None
    assert local.hits == 2


@pytest.mark.parametrize("there", [[], [OTHER], [KEY]], ids=["neither", "the other", "the own absence"])
def test_the_first_of_two_is_missing_without_the_values_it_takes(local: LocalCache, there: list[CacheKey]) -> None:
    for key in there:
        put(local, key, None if key == KEY else "shared")
    assert local.peek_first(KIND, OWN, GLOBAL, Derived()) is MISSING
    assert local.hits == 0


@pytest.mark.parametrize("earlier", [KEY, OTHER])
def test_the_first_of_two_is_missing_when_one_that_it_takes_is_due(
    local: LocalCache, clock: Clock, earlier: CacheKey
) -> None:
    values: dict[CacheKey, object] = {KEY: None, OTHER: "shared"}
    put(local, earlier, values[earlier])
    clock.now += 1
    later = OTHER if earlier == KEY else KEY
    put(local, later, values[later])
    clock.now += DUE - 2
    assert local.peek_first(KIND, OWN, GLOBAL, Derived()) == "shared for ACME"
    clock.now += 1
    assert local.peek_first(KIND, OWN, GLOBAL, Derived()) is MISSING


def test_values_that_were_loaded_past_redis_are_combined_within_one_load_alone(local: LocalCache) -> None:
    moment = Bypassed()
    put(local, KEY, None, moment)
    put(local, OTHER, "shared", moment)
    assert local.peek_first(KIND, OWN, GLOBAL, Derived()) == "shared for ACME"
    assert local.peek_all([KEY, OTHER], never) == [None, "shared"]
    put(local, OTHER, "shared", Bypassed())
    assert local.peek_first(KIND, OWN, GLOBAL, Derived()) is MISSING
    assert local.peek_all([KEY, OTHER], never) is None


def test_several_values_are_given_up_to_the_first_that_settles(local: LocalCache) -> None:
    put(local, KEY, "a")
    assert local.peek_all([KEY, OTHER], never) is None
    assert local.hits == 0
    assert local.peek_all([KEY, OTHER], lambda value: value == "a") == ["a"]
    put(local, OTHER, "b")
    assert local.peek_all([KEY, OTHER], never) == ["a", "b"]
    assert local.hits == 3


def test_several_values_are_given_until_one_is_due(local: LocalCache, clock: Clock) -> None:
    put(local, KEY, "a")
    clock.now += 1
    put(local, OTHER, "b")
    clock.now += DUE - 2
    assert local.peek_all([KEY, OTHER], never) == ["a", "b"]
    clock.now += 1
    assert local.peek_all([KEY, OTHER], never) is None
    assert local.peek_all([OTHER], never) == ["b"]


def test_an_entry_can_be_looked_at_after_its_time(local: LocalCache, clock: Clock) -> None:
    put(local)
    clock.now += 2 * LIFE
    entry = local.look(KEY)
    assert entry is not None
    assert (entry.value, entry.stored, entry.expires) == ("v", 1000, 1100)
    assert entry.due == pytest.approx(1000 + DUE)
    assert local.look(OTHER) is None


# ------------------------------------------------------------------------------------------------------------- eviction


def test_the_least_recently_stored_is_evicted_unless_it_was_used(clock: Clock) -> None:
    local = LocalCache(2, 10**6, clock)
    for name in "abc":
        put(local, (name,))
    assert [local.peek((name,)) for name in "abc"] == [MISSING, "v", "v"]
    local = LocalCache(2, 10**6, clock)
    for name in "ab":
        put(local, (name,))
    local.peek(("a",))
    put(local, ("c",))
    assert [local.look((name,)) is not None for name in "abc"] == [True, False, True]


def test_a_use_counts_once(clock: Clock) -> None:
    local = LocalCache(2, 10**6, clock)
    put(local, ("a",))
    put(local, ("b",))
    local.peek(("a",))
    put(local, ("c",))  # evicts b, moves a behind it
    put(local, ("d",))
    put(local, ("e",))
    assert local.look(("a",)) is None


@pytest.mark.parametrize("peek", ["peek_first", "peek_all"])
def test_every_peek_is_a_use(clock: Clock, peek: str) -> None:
    local = LocalCache(3, 10**6, clock)
    put(local, KEY, None)
    put(local, OTHER, "shared")
    put(local, ("c",))
    if peek == "peek_first":
        local.peek_first(KIND, OWN, GLOBAL, Derived())
    else:
        local.peek_all([KEY, OTHER], never)
    put(local, ("d",))
    assert [local.look(key) is not None for key in (KEY, OTHER, ("c",))] == [True, True, False]


def test_the_own_value_of_two_is_used(clock: Clock) -> None:
    local = LocalCache(2, 10**6, clock)
    put(local, KEY, "own")
    put(local, OTHER, "shared")
    local.peek_first(KIND, OWN, GLOBAL, Derived())
    put(local, ("c",))
    assert local.look(KEY) is not None


def test_an_eviction_passes_over_a_bounded_number_of_used_entries(clock: Clock) -> None:
    count = module.SECOND_CHANCES + 5
    local = LocalCache(count, 10**6, clock)
    for number in range(count):
        put(local, (number,))
        local.peek((number,))
    put(local, ("one more",))
    assert local.entries == count
    assert [number for number in range(count) if local.look((number,)) is None] == [module.SECOND_CHANCES]


def test_entries_are_evicted_by_their_bytes(clock: Clock) -> None:
    local = LocalCache(100, 3 * (ENTRY_BYTES + 100), clock)
    for name in "abc":
        put(local, (name,), weight=100)
    assert (local.entries, local.bytes) == (3, 3 * (ENTRY_BYTES + 100))
    put(local, ("d",), weight=101)
    assert [local.look((name,)) is not None for name in "abcd"] == [False, False, True, True]


def test_what_is_larger_than_the_cache_evicts_nothing(clock: Clock) -> None:
    local = LocalCache(100, ENTRY_BYTES + 100, clock)
    put(local, ("a",), weight=100)
    put(local, ("b",), weight=101)
    assert [local.look((name,)) is not None for name in "ab"] == [True, False]


def test_a_cache_for_one_entry_stores_one(clock: Clock) -> None:
    local = LocalCache(1, ENTRY_BYTES, clock)
    put(local)
    assert local.peek(KEY) == "v"
    put(local, OTHER)
    assert (local.peek(KEY), local.peek(OTHER)) == (MISSING, "v")


@pytest.mark.parametrize("limits", [(0, 10**6), (10, 0)])
def test_a_cache_without_room_stores_nothing(clock: Clock, limits: tuple[int, int]) -> None:
    local = LocalCache(*limits, clock)
    put(local)
    assert local.entries == 0
