"""The first tier alone: which loads are stored, who leads them, and what an invalidation ends."""

from __future__ import annotations

import math

import pytest

from bluestar_store.cache import local as module
from bluestar_store.cache.in_flight import Bypassed, Loaded
from bluestar_store.cache.local import LocalCache
from bluestar_store.protocols import MISSING, SETTLING_SECONDS, CacheKey
from tests.cache.first_tier import DUE, KEY, LIFE, OTHER, Clock, never, put


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def local(clock: Clock) -> LocalCache:
    return LocalCache(10, 10**6, clock)


# ------------------------------------------------------------------------------------------------------------ refreshes


def test_one_caller_refreshes_an_entry_that_is_due(local: LocalCache, clock: Clock) -> None:
    put(local)
    entry = local.look(KEY)
    assert entry is not None
    clock.now += DUE
    assert local.peek(KEY) is MISSING
    assert local.claim_refresh(KEY, entry)
    assert not local.claim_refresh(KEY, entry)
    assert local.peek(KEY) == "v"  # until it expires, whatever becomes of the refresh
    clock.now += LIFE - DUE
    assert local.peek(KEY) is MISSING


def test_an_entry_that_is_not_there_any_more_is_not_refreshed(local: LocalCache) -> None:
    put(local)
    entry = local.look(KEY)
    assert entry is not None
    put(local)
    assert not local.claim_refresh(KEY, entry)
    local.drop([KEY])
    assert not local.claim_refresh(KEY, entry)


def test_a_refresh_begins_unless_a_load_is_under_way(local: LocalCache) -> None:
    load = local.begin_refresh(KEY)
    assert load is not None
    assert local.begin_refresh(KEY) is None
    local.abandon(KEY, load)
    assert local.begin_refresh(KEY) is not None


# ---------------------------------------------------------------------------------------------------------------- loads


def test_once_trust_is_over_nobody_waits_for_a_load_that_began_before(local: LocalCache, clock: Clock) -> None:
    """Of a process that was stopped while it loaded: what it had read then may have been written over since."""
    local.trusted_until = clock.now + 1
    _, before, _ = local.begin([KEY], never)
    clock.now += 1
    _, after, following = local.begin([KEY], never)
    assert (list(after), following) == ([KEY], {})
    local.finish(before, {KEY: Loaded("old", object(), math.inf)}, math.inf)
    assert local.look(KEY) is None
    _, leading, following = local.begin([KEY], never)
    assert (leading, following) == ({}, after)  # one that began since is as good as one's own


def test_each_time_that_trust_is_over_loads_begin_anew(local: LocalCache, clock: Clock) -> None:
    loads = []
    for _ in range(2):
        local.trusted_until = clock.now + 1
        clock.now += 1
        _, leading, _ = local.begin([KEY], never)
        loads.append(leading[KEY])
    assert loads[0] is not loads[1]


def test_a_thread_leads_the_loads_that_nobody_else_has_begun(local: LocalCache) -> None:
    put(local, ("a",))
    here, leading, following = local.begin([("a",), ("b",), ("b",)], never)
    assert (list(here), list(leading), list(following)) == ([("a",)], [("b",)], [])
    here, others, following = local.begin([("b",), ("c",)], never)
    assert (list(here), list(others), list(following)) == ([], [("c",)], [("b",)])
    assert following[("b",)] is leading[("b",)]


def test_keys_after_a_value_that_settles_are_not_loaded(local: LocalCache) -> None:
    put(local, ("a",), 1)
    put(local, ("b",), 2)
    here, leading, following = local.begin([("a",), ("b",), ("c",)], lambda value: bool(value == 2))
    assert (list(here), leading, following) == ([("a",), ("b",)], {}, {})


def test_an_entry_is_loaded_again_when_it_expires(local: LocalCache, clock: Clock) -> None:
    put(local)
    clock.now += LIFE - 1
    assert list(local.begin([KEY], never)[0]) == [KEY]
    clock.now += 1
    assert list(local.begin([KEY], never)[1]) == [KEY]


def test_a_value_whose_load_an_invalidation_ended_is_not_stored(local: LocalCache) -> None:
    """The check of the in-flight load: without it a value from before a write would stay."""
    leading = local.begin([KEY], never)[1]
    waiting = local.begin([KEY], never)[2][KEY]
    local.drop([KEY])
    local.finish(leading, {KEY: Loaded("old", object(), 2000)}, math.inf)
    assert local.look(KEY) is None
    assert waiting.wait(0).value == "old"  # type: ignore[union-attr]  # it is there: who asked before may have it
    assert list(local.begin([KEY], never)[1]) == [KEY]


def test_a_value_whose_load_another_replaced_is_not_stored(local: LocalCache) -> None:
    early = local.begin([KEY], never)[1]
    late = local.begin_anew([KEY])
    local.finish(early, {KEY: Loaded("old", object(), 2000)}, math.inf)
    assert local.look(KEY) is None
    local.finish(late, {KEY: Loaded("new", object(), 2000)}, math.inf)
    assert local.peek(KEY) == "new"


def test_an_entry_lives_as_long_as_it_is_given_at_most(local: LocalCache, clock: Clock) -> None:
    local.finish(local.begin_anew([KEY]), {KEY: Loaded("v", object(), 1050)}, 10)
    assert local.look(KEY).expires == 1010  # type: ignore[union-attr]
    local.finish(local.begin_anew([KEY]), {KEY: Loaded("v", object(), 1050)}, 100)
    assert local.look(KEY).expires == 1050  # type: ignore[union-attr]


@pytest.mark.parametrize("until", [None, 1000, 999])
def test_a_value_that_may_not_be_kept_takes_an_older_one_away(local: LocalCache, until: float | None) -> None:
    put(local)
    local.finish(local.begin_anew([KEY]), {KEY: Loaded("new", object(), until)}, math.inf)
    assert local.look(KEY) is None
    assert (local.entries, local.bytes) == (0, 0)


def test_a_value_may_be_kept_for_less_than_a_second(local: LocalCache) -> None:
    local.finish(local.begin_anew([KEY]), {KEY: Loaded("v", object(), 1000.5)}, math.inf)
    assert local.peek(KEY) == "v"


def test_every_value_of_a_load_is_stored_and_given(local: LocalCache) -> None:
    leading = local.begin([("left out",), ("ended",), ("b",), ("c",)], never)[1]
    waiting = local.begin([("c",)], never)[2][("c",)]
    local.drop([("ended",)])
    loaded: dict[CacheKey, Loaded] = {(name,): Loaded(name, object(), 2000) for name in ("ended", "b", "c")}
    local.finish(leading, loaded, math.inf)
    assert sorted(local._found) == [("b",), ("c",)]
    assert waiting.wait(0) is loaded[("c",)]


def test_a_key_that_its_leader_left_out_is_led_by_who_waits(local: LocalCache) -> None:
    put(local)
    leading = local.begin([("a",), ("b",)], never)[1]
    waiting = local.begin([("b",)], never)[2]
    local.finish(leading, {("a",): Loaded(1, object(), 2000)}, math.inf)
    assert waiting[("b",)].wait(0) is None
    assert local.look(("b",)) is None
    successor, leads = local.take_over(("b",), waiting[("b",)])
    assert leads
    assert list(local.begin([("b",)], never)[2].values()) == [successor]


def test_of_those_who_wait_one_takes_over(local: LocalCache) -> None:
    first = local.begin([KEY], never)[1][KEY].expected()
    successor, leads = local.take_over(KEY, first)
    assert leads
    assert local.take_over(KEY, first) == (successor, False)
    local.finish({KEY: successor}, {KEY: Loaded("v", object(), 2000)}, math.inf)
    assert successor.wait(0).value == "v"  # type: ignore[union-attr]
    assert local.peek(KEY) == "v"


def test_who_takes_over_waits_for_a_load_that_began_meanwhile(local: LocalCache) -> None:
    first = local.begin([KEY], never)[1][KEY]
    newer = local.begin_anew([KEY])[KEY]
    assert local.take_over(KEY, first) == (newer, False)
    assert list(local.begin([KEY], never)[2].values()) == [newer]


def test_a_load_that_brings_nothing_is_removed_while_it_is_the_current_one(local: LocalCache) -> None:
    first = local.begin([KEY], never)[1][KEY]
    newer = local.begin_anew([KEY])[KEY]
    local.abandon(KEY, first)
    assert list(local.begin([KEY], never)[2].values()) == [newer]
    local.abandon(KEY, newer)
    assert list(local.begin([KEY], never)[1]) == [KEY]


def test_what_waiting_threads_get_instead_leaves_the_entry(local: LocalCache) -> None:
    put(local)
    load = local.begin_anew([KEY])[KEY].expected()
    local.finish_unchanged(KEY, load, Loaded("instead", object()))
    assert load.wait(0).value == "instead"  # type: ignore[union-attr]
    assert local.peek(KEY) == "v"
    assert local.begin_refresh(KEY) is not None


@pytest.mark.parametrize(("again", "moment", "rejoins"), [("shared", Bypassed, True), ("other", Bypassed, False)])
def test_a_value_that_is_equal_past_redis_keeps_its_moment(
    local: LocalCache, again: str, moment: type, rejoins: bool
) -> None:
    kept = moment()
    put(local, OTHER, "shared", kept)
    loaded: dict[CacheKey, Loaded] = {KEY: Loaded(None, now := moment()), OTHER: Loaded(again, now)}
    local.rejoin(loaded)
    assert [one.moment for one in loaded.values()] == ([kept, kept] if rejoins else [now, now])


@pytest.mark.parametrize(("here", "loaded"), [(Bypassed, object), (object, Bypassed), (object, object)])
def test_a_moment_that_redis_tells_is_left(local: LocalCache, here: type, loaded: type) -> None:
    put(local, OTHER, "shared", here())
    one = Loaded("shared", now := loaded())
    local.rejoin({OTHER: one})
    assert one.moment is now
    local.rejoin({KEY: Loaded("shared", now)})  # without an entry


# --------------------------------------------------------------------------------------------------------- invalidation


def test_a_key_was_changed_lately_for_as_long_as_queries_may_be_behind(local: LocalCache, clock: Clock) -> None:
    assert not local.changed_lately(KEY)
    put(local)
    local.drop([KEY])
    assert local.peek(KEY) is MISSING
    clock.now += SETTLING_SECONDS - 1
    assert local.changed_lately(KEY)
    assert not local.changed_lately(OTHER)
    clock.now += 1
    assert not local.changed_lately(KEY)


def test_the_latest_invalidations_are_remembered(local: LocalCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_DROPPED", 2)
    local.drop([("a",), ("b",)])
    local.drop([("a",)])
    local.drop([("c",)])
    assert [local.changed_lately((name,)) for name in "abc"] == [True, False, True]


def test_all_that_matches_is_dropped_and_entries_are_counted(local: LocalCache) -> None:
    put(local, ("a", 1))
    put(local, ("a", 2))
    put(local, ("b", 1))
    leading = local.begin([("a", 3), ("b", 3)], never)[1]
    assert local.drop_where(lambda key: key[0] == "a") == 2
    local.finish(leading, {key: Loaded("v", object(), 2000) for key in leading}, math.inf)
    assert sorted(local._found) == [("b", 1), ("b", 3)]


def test_nothing_is_stored_while_a_write_is_under_way(local: LocalCache, clock: Clock) -> None:
    put(local)
    leading = local.begin([("a",)], never)[1]
    local.begin_write([KEY, ("a",)], b"writer", 30)
    assert local.peek(KEY) is MISSING
    local.finish(leading, {("a",): Loaded("early", object(), 2000)}, math.inf)
    put(local)
    assert local.entries == 0
    clock.now += 30
    put(local)
    assert local.peek(KEY) == "v"


def test_a_write_of_another_process_is_known_as_one(local: LocalCache) -> None:
    local.begin_write([KEY], b"here", 30)
    local.begin_write([OTHER], b"there", 30, announced=True)
    local.writes.end_announced(2000)
    assert [local.writes.cover(key) for key in (KEY, OTHER)] == [True, False]


def test_a_flush_ends_entries_and_loads(local: LocalCache) -> None:
    put(local)
    leading = local.begin([OTHER], never)[1]
    local.flush()
    local.finish(leading, {OTHER: Loaded("v", object(), 2000)}, math.inf)
    assert (local.entries, local.bytes, local.flushes) == (0, 0, 1)
    assert local.peek(KEY) is MISSING
    put(local)
    assert local.peek(KEY) == "v"
    local.flush()
    assert local.flushes == 2


def test_a_cache_that_is_turned_off_stores_nothing_any_more(local: LocalCache) -> None:
    put(local)
    local.turn_off()
    put(local, OTHER)
    assert local.entries == 0


def test_a_forked_child_begins_with_an_empty_cache(local: LocalCache) -> None:
    put(local)
    local.begin([OTHER], never)
    local.drop([("dropped",)])
    local.begin_write([("written",)], b"writer", 30)
    local.trusted_until = 0
    lock = local._lock
    local.reset()
    assert local._lock is not lock
    assert local.trusted_until == math.inf
    assert (local.entries, local.peek(KEY)) == (0, MISSING)
    assert list(local.begin([OTHER], never)[1]) == [OTHER]
    assert not local.changed_lately(("dropped",))
    assert not local.writes.cover(("written",))
