"""Loads through Redis, over a second tier that answers as a test says: what is taken, loaded, stored and waited for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from bluestar_store.cache.in_flight import Bypassed, InFlightWrites, Loaded
from bluestar_store.cache.limits import Counters
from bluestar_store.cache.redis import loading
from bluestar_store.cache.redis.loading import LeaseWait, RedisLoader
from bluestar_store.cache.redis.stored import (
    MAX_PAYLOAD_BYTES,
    AbandonedLease,
    Fill,
    OtherLease,
    Outdated,
    OwnLease,
    Stored,
    StoredValue,
    Tombstone,
    Unreadable,
    Unsigned,
)
from bluestar_store.errors import UnavailableError
from bluestar_store.protocols import CacheKey, FailedRead
from tests.cache.first_tier import LIMITS, A, B, C, Clock, Values

T = b"token-0123456789"
OWN = OwnLease(T)


def value(payload: bytes = b'"kept"', *, age: float = 10, left: float = 90) -> StoredValue:
    return StoredValue(T, payload, int(age * 1000), int(left * 1000))


class Remote:
    """Stands for a RedisTier: each look gives the next states of its keys."""

    def __init__(self, *looks: Mapping[CacheKey, Stored] | None) -> None:
        self.looks = list(looks)
        self.asked: list[list[CacheKey]] = []
        self.fills: list[dict[CacheKey, Fill]] = []
        self.events: list[tuple[Any, ...]] = []
        self.publisher = self
        self.refused: set[CacheKey] = set()
        self.listening, self.witnessed = 50.0, 0.0
        self.taken_over: OwnLease | None = OwnLease(b"taken-0123456789")

    def get_or_lease(self, keys: Sequence[CacheKey]) -> Any:
        self.asked.append(list(keys))
        states = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if states is None:
            return None
        lease = b"L" + T
        return {key: (lease if states[key] == OWN else states[key], 0) for key in keys}, lease, 1000.0

    def state(self, key: CacheKey, content: Any, left: object, lease: bytes, now: float) -> Any:
        return OWN if content == lease else content

    def moment(self, key: CacheKey, lease: bytes) -> object:
        return lease

    def fill(self, fills: Mapping[CacheKey, Fill]) -> Mapping[CacheKey, int]:
        if fills:
            self.fills.append(dict(fills))
        return {key: 0 if key in self.refused else fill.lifetime_ms for key, fill in fills.items()}

    def take_over(self, key: CacheKey, lease: OtherLease) -> OwnLease | None:
        self.events.append(("take over", key))
        return self.taken_over

    def discard(self, keys: Iterable[CacheKey]) -> bool:
        self.events.append(("discard", list(keys)))
        return True

    def publish_changed(self, keys: Iterable[CacheKey]) -> bool:
        self.events.append(("changed", list(keys)))
        return True

    def listening_seconds(self) -> float:
        return self.listening

    def witnessed_seconds(self) -> float:
        return self.witnessed

    @property
    def stored(self) -> dict[CacheKey, bytes | None]:
        """The payload of every fill."""
        return {key: fill.payload for fills in self.fills for key, fill in fills.items()}


class Setup:
    def __init__(self, *looks: Mapping[CacheKey, Stored] | None, **values: Any) -> None:
        self.clock, self.counters, self.remote, self.source = Clock(), Counters(), Remote(*looks), Values(**values)
        self.writes = InFlightWrites(self.clock)
        remote: Any = self.remote
        self.loader = RedisLoader(LIMITS, self.counters, self.clock, remote, self.writes)

    def load(self, *keys: CacheKey, max_age: float = math.inf) -> dict[CacheKey, Loaded]:
        return self.loader.load(list(keys), self.source, max_age_seconds=max_age)

    def count(self, name: str) -> int:
        return self.counters.counts()[name]


@pytest.fixture(autouse=True)
def no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.random", lambda: 0.0)


# ---------------------------------------------------------------------------------------------------------------- taken


def test_a_value_in_redis_is_taken_and_kept_no_longer_than_there() -> None:
    setup = Setup({A: value(age=10, left=60), B: value(age=70, left=60), C: value(b"null", age=1, left=60)})
    found = setup.load(A, B, C)
    assert [found[key].value for key in (A, B, C)] == ["kept", "kept", None]
    assert [found[key].until for key in (A, B, C)] == [1060, 1030, 1010]
    assert len({found[key].moment for key in (A, B, C)}) == 1
    assert (setup.source.loads, setup.remote.fills) == (0, [])
    assert [setup.count(name) for name in ("hits_redis", "misses", "loads")] == [3, 0, 0]


@pytest.mark.parametrize(("max_age", "taken"), [(10.001, True), (10, False), (0, False)])
def test_a_value_that_is_too_old_is_loaded_and_replaced(max_age: float, taken: bool) -> None:
    setup = Setup({A: value(age=10)})
    found = setup.load(A, max_age=max_age)
    assert found[A].value == ("kept" if taken else 1)
    assert [fill.claim for fills in setup.remote.fills for fill in fills.values()] == ([] if taken else [b"V" + T])


def test_a_value_older_than_a_process_keeps_any_is_loaded() -> None:
    assert Setup({A: value(age=99.999)}).load(A)[A].value == "kept"
    assert Setup({A: value(age=100)}).load(A)[A].value == 1


@pytest.mark.parametrize(("payload", "changed"), [(b"1", False), (b"2", True)])
def test_others_are_told_of_a_value_that_another_program_changed(payload: bytes, changed: bool) -> None:
    setup = Setup({A: value(payload)})
    setup.load(A, max_age=0)
    assert setup.remote.events == ([("changed", [A])] if changed else [])
    setup.remote.refused = {A}
    setup.remote.events.clear()
    setup.load(A, max_age=0)
    assert setup.remote.events == []


def test_values_after_one_that_settles_are_not_taken_but_leases_are_used() -> None:
    setup = Setup({A: value(), B: value(), C: OWN})
    setup.source.settling = "kept"
    found = setup.load(A, B, C)
    assert list(found) == [A, C]
    assert setup.remote.stored == {C: b"1"}
    assert setup.count("hits_redis") == 1


# --------------------------------------------------------------------------------------------------------------- loaded


def test_what_is_loaded_is_stored_over_the_lease() -> None:
    setup = Setup({A: OWN, B: OWN}, b=None)
    found = setup.load(A, B)
    (fills,) = setup.remote.fills
    assert {key: (fill.claim, fill.token, fill.payload) for key, fill in fills.items()} == {
        A: (b"L" + T, T, b"1"),
        B: (b"L" + T, T, b"null"),
    }
    assert [found[key].until for key in (A, B)] == [1050, 1010]
    assert found[A].moment is found[B].moment
    assert setup.source.asked == [[A, B]]
    assert [setup.count(name) for name in ("hits_redis", "misses", "loads", "fills_refused")] == [0, 2, 1, 0]


@pytest.mark.parametrize(
    ("listening", "witnessed", "lifetime", "sure"),
    [(50, 0, 50, 50), (1, 0, 5, 5), (200, 0, 100, 100), (0, 70, 70, 5), (60, 70, 70, 60), (0, 500, 100, 5)],
)
def test_a_value_lives_as_long_as_no_tombstone_may_have_been_lost(
    listening: float, witnessed: float, lifetime: float, sure: float
) -> None:
    setup = Setup({A: OWN})
    setup.remote.listening, setup.remote.witnessed = listening, witnessed
    setup.load(A)
    fill = setup.remote.fills[0][A]
    assert (fill.lifetime_ms, fill.sure_ms) == (lifetime * 1000, sure * 1000)


def test_a_value_that_redis_refuses_is_kept_nowhere() -> None:
    setup = Setup({A: OWN, B: OWN})
    setup.remote.refused = {A}
    found = setup.load(A, B)
    assert [(found[key].value, found[key].until is None) for key in (A, B)] == [(1, True), (1, False)]
    assert setup.count("fills_refused") == 1


@pytest.mark.parametrize(
    ("state", "claim"),
    [
        (Tombstone(), None),
        (Unreadable(), None),
        (Outdated(T), b"V" + T),
        (Unsigned(T), b"V" + T),
        (AbandonedLease(T), b"L" + T),
        (value(b"{"), b"V" + T),
    ],
    ids=lambda one: type(one).__name__,
)
def test_what_is_no_value_to_be_trusted_is_loaded(state: Stored, claim: bytes | None) -> None:
    setup = Setup({A: state})
    found = setup.load(A)
    assert (found[A].value, found[A].until is None) == (1, claim is None)
    assert [fill.claim for fills in setup.remote.fills for fill in fills.values()] == ([claim] if claim else [])
    undecodable = isinstance(state, Unreadable | StoredValue)
    assert (setup.count("undecodable"), setup.count("unsigned")) == (undecodable, isinstance(state, Unsigned))
    assert (("discard", [A]) in setup.remote.events) == isinstance(state, Unreadable)
    tokens = [fill.token for fills in setup.remote.fills for fill in fills.values()]
    assert all(token != T and len(token) == 16 for token in tokens)


@pytest.mark.parametrize("known", ["before", "meanwhile"])
def test_a_value_of_a_key_that_is_being_written_is_kept_nowhere_and_its_lease_given_back(known: str) -> None:
    setup = Setup({A: OWN, B: OWN})

    def write() -> None:
        setup.writes.begin([A], b"writer", 60)

    if known == "before":
        write()
    else:
        setup.source.before = write
    found = setup.load(A, B)
    assert [(found[key].value, found[key].until is None) for key in (A, B)] == [(1, True), (1, False)]
    assert setup.remote.stored == {A: None, B: b"1"}


def test_a_value_in_redis_is_not_taken_while_its_key_is_being_written() -> None:
    setup = Setup({A: value()})
    setup.writes.begin([A], b"writer", 60)
    assert setup.load(A)[A].value == 1
    assert setup.remote.fills == []


def test_a_value_that_cannot_be_read_is_not_stored_and_its_lease_given_back() -> None:
    failed = FailedRead(UnavailableError("broken"))
    setup = Setup({A: OWN, B: OWN}, a=failed)
    found = setup.load(A, B)
    assert (found[A].value, found[A].until) == (failed, None)
    assert setup.remote.stored == {A: None, B: b"1"}


def test_leases_are_given_back_when_the_engine_fails() -> None:
    setup = Setup({A: OWN, B: value(age=99)})

    def fail() -> None:
        raise UnavailableError("no engine")

    setup.source.before = fail
    with pytest.raises(UnavailableError):
        setup.load(A, B, max_age=50)
    assert [(key, fill.payload, fill.claim) for key, fill in setup.remote.fills[0].items()] == [(A, None, b"L" + T)]
    assert len(setup.remote.fills) == 1


def test_a_value_that_is_too_large_is_not_stored() -> None:
    for size in (MAX_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES + 1):
        setup = Setup({A: OWN}, a="x" * (size - 2))
        setup.load(A)
        assert (setup.remote.stored[A] is None) == (size > MAX_PAYLOAD_BYTES)


# ---------------------------------------------------------------------------------------------------------------- apart


def test_without_redis_values_are_kept_shortly() -> None:
    setup = Setup(None)
    assert setup.load(A)[A].until == 1005
    assert setup.remote.fills == []


def test_sensitive_values_pass_redis_by(monkeypatch: pytest.MonkeyPatch) -> None:
    setup = Setup({A: OWN})
    monkeypatch.setattr(setup.source, "sensitive", True)
    found = setup.load(A, B)
    assert (setup.remote.asked, setup.remote.fills) == ([], [])
    assert isinstance(found[A].moment, Bypassed)
    assert found[A].moment is found[B].moment
    assert found[A].until == 1050
    setup.remote.listening = 1
    assert setup.load(A)[A].until == 1005


# -------------------------------------------------------------------------------------------------------------- waiting


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between two looks, which take no time; `then` is done during one."""
    made = Pauses()
    monkeypatch.setattr(loading, "time", SimpleNamespace(sleep=made.sleep, monotonic=lambda: made.now))
    return made


class Pauses(list[float]):
    now = 0.0
    then: Callable[[], None] = staticmethod(lambda: None)

    def sleep(self, seconds: float) -> None:
        self.append(seconds)
        self.now += seconds
        self.then()


def test_a_value_that_another_process_loads_is_waited_for(pauses: Pauses) -> None:
    busy = OtherLease(b"b" * 16, 5000)
    setup = Setup({A: busy, B: OWN}, {A: busy}, {A: busy}, {A: value()})
    found = setup.load(A, B)
    assert (found[A].value, found[B].value) == ("kept", 1)
    assert setup.remote.asked == [[A, B], [A], [A], [A]]
    assert (setup.count("lease_waits"), setup.count("hits_redis")) == (1, 1)
    assert list(pauses) == pytest.approx([0.002, 0.003, 0.0045])


def test_keys_after_one_that_settles_are_not_waited_for(pauses: Pauses) -> None:
    setup = Setup({A: value(), B: OtherLease(b"b" * 16, 5000)})
    setup.source.settling = "kept"
    assert list(setup.load(A, B)) == [A]
    assert (setup.count("lease_waits"), list(pauses)) == (0, [])


def test_a_lease_that_nobody_fills_is_taken_over(pauses: Pauses) -> None:
    setup = Setup({A: OtherLease(b"b" * 16, 5000)})
    found = setup.load(A)
    assert found[A].value == 1
    assert setup.remote.fills[0][A].claim == b"Ltaken-0123456789"
    assert LIMITS.lease_wait_seconds < sum(pauses) < LIMITS.lease_wait_seconds + 0.05
    assert max(pauses) == 0.02


def test_of_two_holders_of_a_lease_the_second_is_given_twice_as_long_and_then_nothing_is_stored(
    pauses: Pauses,
) -> None:
    first, second = OtherLease(b"b" * 16, 5000), OtherLease(b"c" * 16, 5000)
    setup = Setup({A: first}, {A: first}, {A: second})
    found = setup.load(A)
    assert (found[A].value, found[A].until) == (1, None)
    assert (setup.remote.fills, setup.remote.events) == ([], [])
    assert 2 * LIMITS.lease_wait_seconds < sum(pauses) < 2 * LIMITS.lease_wait_seconds + 0.1


def test_who_is_not_the_first_to_take_over_waits_on(pauses: Pauses) -> None:
    setup = Setup({A: OtherLease(b"b" * 16, 5000), B: OtherLease(b"c" * 16, 5000)})
    setup.remote.taken_over = None

    def fill() -> None:
        if setup.remote.events:
            setup.remote.looks = [{A: value(), B: value()}]

    pauses.then = fill
    assert [one.value for one in setup.load(A, B).values()] == ["kept", "kept"]
    assert setup.remote.events == [("take over", A)]


def test_who_waits_while_redis_goes_loads(pauses: Pauses) -> None:
    setup = Setup({A: OtherLease(b"b" * 16, 5000), B: value()}, None)
    found = setup.load(A, B)
    assert (found[A].value, found[A].until, found[B].value) == (1, 1005, "kept")


@pytest.mark.parametrize("taken", [True, False])
def test_a_fresh_read_takes_the_place_of_a_load_that_may_have_read_too_early(pauses: Pauses, taken: bool) -> None:
    setup = Setup({A: OtherLease(b"b" * 16, 5000)})
    if not taken:
        setup.remote.taken_over = None
    found = setup.load(A, max_age=0)
    assert (found[A].value, found[A].until is None) == (1, not taken)
    assert list(pauses) == []
    assert setup.remote.events == [("take over", A)]


def test_a_wait_for_a_lease_is_over_after_its_time(pauses: Pauses) -> None:
    first, second, third = (OtherLease(name * 16, 5000) for name in (b"a", b"b", b"c"))
    wait = LeaseWait(first, 1)
    pauses.now = 1
    assert not wait.is_over(first)
    pauses.now = 1.01
    assert wait.is_over(first)
    assert not wait.is_second
    assert not wait.is_over(second)
    assert wait.is_second
    pauses.now = 3.01
    assert not wait.is_over(third)  # no further holder is given more
    pauses.now = 3.02
    assert wait.is_over(third)
