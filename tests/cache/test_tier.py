"""The second tier's looks, fills and trust, over servers that answer as a test says."""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat
from types import SimpleNamespace
from typing import Any

import pytest
from redis.exceptions import MovedError

from bluestar_store.cache.redis import stored
from bluestar_store.cache.redis import tier as module
from bluestar_store.cache.redis.connection import RedisCallError, check
from bluestar_store.cache.redis.messages import Signer
from bluestar_store.cache.redis.publisher import WITNESS_KEY
from bluestar_store.cache.redis.stored import (
    LEASE_MS,
    AbandonedLease,
    Fill,
    OtherLease,
    Outdated,
    OwnLease,
    StoredValue,
    Tombstone,
    Unreadable,
    Unsigned,
)
from bluestar_store.cache.redis.tier import DENIED_SECONDS, RETRY_SECONDS, RedisTier, TierFinder
from bluestar_store.errors import AccessDeniedError, BlueStarError, UnavailableError
from bluestar_store.protocols import CacheKey
from tests.cache.scripted_servers import FULL, RUN, Published

A, B, C = ("k", 0), ("k", 1), ("k", 2)
T = b"token-0123456789"


def packed_call(server: Any) -> Callable[..., list[Any]]:
    """What ServerPool.call_packed does: the answers of `server.packed`, in order."""

    def call_packed(request: Callable[[bytes], tuple[bytes, int]], *, errors: bool = False) -> list[Any]:
        if server.down:
            raise RedisCallError("no answer in time")
        data, count = request(RUN)
        server.requests.append(data)
        replies = [server.packed.pop(0) for _ in range(count)]
        if not errors:
            check(replies)
        return replies

    return call_packed


class Setup:
    def __init__(self, count: int = 1, *, signer: Signer | None = None) -> None:
        self.made = Published(count, signer=signer)
        self.clock, self.client, self.servers = self.made.clock, self.made.client, self.made.servers.all
        for server in self.servers:
            one: Any = server
            one.packed, one.requests, one.call_packed = [], [], packed_call(server)
        self.server: Any = self.servers[0]
        self.tier = RedisTier(self.made.publisher, self.clock)

    def state(self, content: object, left: object = 500, key: CacheKey = A) -> object:
        return self.tier.state(key, content, left, b"L" + T, self.clock.now)


# ----------------------------------------------------------------------------------------------------------------- look


def test_a_look_asks_for_all_keys_in_one_request() -> None:
    setup = Setup()
    setup.server.packed = [None, -2, b"content", 70]
    found = setup.tier.get_or_lease([A, B])
    assert found is not None
    replies, lease, now = found
    assert replies == {A: (None, -2), B: (b"content", 70)}
    assert (list(replies), now) == ([A, B], 1000)
    (request,) = setup.server.requests
    namespace = setup.client.namespace
    for key in (A, B):
        assert request.count(namespace.redis_key(key, RUN)) == 2
    assert request.count(lease) == 2
    assert [request.count(b"\r\n%b\r\n" % word) for word in (b"SET", b"NX", b"PTTL", b"%d" % LEASE_MS)] == [2] * 4


def test_each_look_has_a_lease_of_its_own() -> None:
    setup = Setup()
    setup.server.packed = [None, -2] * 3
    assert len({setup.tier.get_or_lease([A])[1] for _ in range(3)}) == 3  # type: ignore[index]


def test_a_look_at_a_cluster_keeps_the_order_of_the_keys() -> None:
    setup = Setup(2)
    setup.servers[0].packed = [b"0", 1, b"2", 3]  # type: ignore[attr-defined]
    setup.servers[1].packed = [b"1", 2]  # type: ignore[attr-defined]
    found = setup.tier.get_or_lease([B, A, C])
    assert found is not None
    assert list(found[0].items()) == [(B, (b"1", 2)), (A, (b"0", 1)), (C, (b"2", 3))]


def test_a_look_follows_redirects() -> None:
    setup = Setup(2)
    setup.servers[0].packed = [MovedError("1 host:1"), MovedError("1 host:1")]  # type: ignore[attr-defined]
    setup.servers[1].answers |= {"SET": b"there", "PTTL": 9}
    assert setup.tier.get_or_lease([A])[0] == {A: (b"there", 9)}  # type: ignore[index]


@pytest.mark.parametrize("count", [1, 2])
def test_a_look_that_fails_takes_redis_out_of_the_path(count: int) -> None:
    setup = Setup(count)
    setup.server.down = True
    assert setup.tier.get_or_lease([A]) is None
    assert setup.client.is_open
    setup.server.down = False
    assert setup.tier.get_or_lease([A]) is None
    assert setup.server.requests == []


# ---------------------------------------------------------------------------------------------------------------- trust


def test_what_lies_in_redis_is_trusted_unless_there_was_an_outage() -> None:
    setup, value = Setup(), stored.value(T, 1000, b"payload")
    assert isinstance(setup.state(value), StoredValue)
    assert isinstance(setup.state(None), OwnLease)
    setup.client.trusted_since = 999.5  # the value is half a second old
    assert isinstance(setup.state(value), StoredValue)
    setup.client.trusted_since = 999.6
    found = setup.state(value)
    assert isinstance(found, Outdated)
    assert found.claim == b"V" + T


def test_a_lease_from_before_an_outage_is_nobodys() -> None:
    setup, lease = Setup(), stored.lease(b"b" * 16)
    setup.client.trusted_since = 999
    assert setup.state(lease, LEASE_MS - 1000) == OtherLease(b"b" * 16, LEASE_MS - 1000)
    assert isinstance(setup.state(lease, LEASE_MS - 1001), AbandonedLease)


def test_keys_of_a_write_without_a_tombstone_are_not_trusted_from_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    setup, value = Setup(), stored.value(T, 1000, b"payload")
    setup.tier.distrust([A])
    assert isinstance(setup.state(value), Outdated)
    assert isinstance(setup.state(value, key=B), StoredValue)
    assert [command[3] for command in setup.server.named("forget")] == [setup.client.namespace.redis_key(A, RUN)]
    setup.tier.discard_distrusted()
    assert len(setup.server.named("forget")) == 1
    setup.clock.now += 1
    assert isinstance(setup.state(value), StoredValue)
    monkeypatch.setattr(module, "MAX_DISTRUSTED", 2)
    setup.tier.distrust([A, B])
    assert setup.client.trusted_since < 0
    setup.tier.distrust([C])
    assert setup.client.trusted_since == 1001
    assert not setup.tier._distrusted


def test_what_cannot_be_removed_is_removed_later() -> None:
    setup = Setup()
    setup.server.down = True
    setup.tier.distrust([A])
    setup.server.down = False
    setup.tier.discard_distrusted()  # out of the path
    assert setup.server.sent == []
    setup.client.close_breaker(lambda: True)
    setup.tier.discard_distrusted()
    assert len(setup.server.named("forget")) == 1


def test_values_of_one_look_at_one_server_are_of_one_moment() -> None:
    one, two = Setup(), Setup(2)
    assert one.tier.moment(A, b"lease") == one.tier.moment(B, b"lease") != one.tier.moment(A, b"other")
    assert two.tier.moment(A, b"lease") == two.tier.moment(C, b"lease") != two.tier.moment(B, b"lease")


def test_with_a_key_only_signed_values_are_trusted_for_their_lifetime(monkeypatch: pytest.MonkeyPatch) -> None:
    signer = Signer([b"key"])
    setup = Setup(signer=signer)
    monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: 5000.0))
    context = setup.client.namespace.slot_key(A)

    def signed(written_ms: int, context: bytes = context) -> bytes:
        return stored.signed_value(T, 1000, b"payload", lambda content: signer.sign(context, content), written_ms)

    assert isinstance(setup.state(stored.value(T, 1000, b"payload")), Unsigned)
    assert isinstance(setup.state(signed(5_000_000, b"another key")), Unsigned)
    found = setup.state(signed(5_000_000))
    assert isinstance(found, StoredValue)
    assert found.remaining_ms == 500
    apart = stored.CLOCKS_APART_MS
    found = setup.state(signed(5_000_000 - apart - 900))
    assert isinstance(found, StoredValue)
    assert found.remaining_ms == 100
    assert isinstance(setup.state(signed(5_000_000 - apart - 1000)), Unsigned)


@pytest.mark.parametrize(
    ("content", "left", "said"),
    [
        (stored.lease(b"b" * 16), 500, "a process is loading it"),
        (b"Tf00:1;", 500, "it is being written"),
        (b"?", 500, "what Redis has cannot be read"),
        (None, -2, "nothing in Redis"),
    ],
)
def test_a_key_is_inspected_in_words(content: object, left: int, said: str) -> None:
    setup = Setup()
    setup.server.answers |= {"GET": content, "PTTL": left}
    assert setup.tier.inspect(A) == said
    redis_key = setup.client.namespace.redis_key(A, RUN)
    assert setup.server.sent == [("GET", redis_key), ("PTTL", redis_key)]


def test_a_value_is_inspected_as_what_it_is_trusted_for() -> None:
    setup, signing = Setup(), Setup(signer=Signer([b"key"]))
    for one in (setup, signing):
        one.server.answers |= {"GET": stored.value(T, 1000, b"payload"), "PTTL": 500}
    assert setup.tier.inspect(A) == StoredValue(T, b"payload", 500, 500)
    assert signing.tier.inspect(A) == "what Redis has is not signed by our key"
    setup.client.trusted_since = 1001
    assert setup.tier.inspect(A) == "what Redis has is older than its last outage"
    setup.server.down = True
    assert setup.tier.inspect(A) == "Redis does not answer"
    assert setup.tier.inspect(A) == "Redis is out of the path"


# ---------------------------------------------------------------------------------------------------------------- fills


def test_a_fill_names_what_it_replaces_and_its_lifetimes() -> None:
    setup = Setup()
    setup.server.answers["fill"] = lambda command: int(command[-2])
    fills: dict[CacheKey, Fill] = {
        A: Fill(b"L" + T, b"n" * 16, b"payload", 900, 900),
        B: Fill(b"V" + T, b"n" * 16, None, 900, 500),
    }
    assert setup.tier.fill(fills) == {A: 900, B: 900}
    namespace = setup.client.namespace
    content = stored.value(b"n" * 16, 900, b"payload")
    first, second = (command[2:] for command in setup.server.named("fill"))
    assert first == (1, namespace.redis_key(A, RUN), b"L" + T, content, 900, 900)
    assert second == (2, namespace.redis_key(B, RUN), namespace.redis_key(WITNESS_KEY, RUN), b"V" + T, b"", 900, 500)


@pytest.mark.parametrize(("reply", "lifetime"), [(0, 0), (500, 500), (900, 900), (901, 0), (-1, 0), (b"900", 0)])
def test_a_reply_that_no_script_gives_is_a_refusal(reply: object, lifetime: int) -> None:
    setup = Setup()
    setup.server.answers["fill"] = reply
    assert setup.tier.fill({A: Fill(b"L" + T, T, b"payload", 900, 900)}) == {A: lifetime}


def test_a_fill_that_fails_stores_nothing() -> None:
    setup = Setup()
    assert setup.tier.fill({}) == {}
    setup.server.answers["fill"] = FULL
    fills: dict[CacheKey, Fill] = {A: Fill(b"L" + T, T, b"payload", 900, 900)}
    assert setup.tier.fill(fills) == {}
    assert setup.client.is_open
    sent = len(setup.server.sent)
    assert setup.tier.fill(fills) == {}
    assert len(setup.server.sent) == sent


def test_a_fill_is_signed_for_its_key() -> None:
    signer = Signer([b"key"])
    setup = Setup(signer=signer)
    setup.tier.fill({A: Fill(b"L" + T, b"n" * 16, b"payload", 900, 900)})
    content = setup.server.named("fill")[0][5]
    assert isinstance(setup.state(content), StoredValue)
    assert isinstance(setup.state(content, key=B), Unsigned)


@pytest.mark.parametrize(("reply", "taken"), [(LEASE_MS, True), (0, False), (FULL, False)])
def test_a_lease_is_taken_over_by_compare_and_set(reply: object, taken: bool) -> None:
    setup = Setup()
    setup.server.answers["fill"] = reply
    found = setup.tier.take_over(A, OtherLease(T, 500))
    assert (found is not None) == taken
    claim, content, lifetime = setup.server.named("fill")[0][4:]
    assert (claim, lifetime) == (b"L" + T, LEASE_MS)
    assert found is None or content == stored.lease(found.token)


def test_what_a_process_can_be_sure_of_is_counted_since_it_listens() -> None:
    setup, cluster = Setup(), Setup(2)
    assert (setup.tier.listening_seconds(), setup.tier.witnessed_seconds()) == (0, 0)
    setup.tier.listening_since = 990
    assert setup.tier.listening_seconds() == 10
    for one in (setup, cluster):
        for server in one.servers:
            server.answers["witness"] = 7000
        one.made.publisher.witness()
    assert (setup.tier.witnessed_seconds(), cluster.tier.witnessed_seconds()) == (7, 0)


def test_a_forked_child_knows_nothing_of_its_parents_tier() -> None:
    setup = Setup()
    setup.tier.listening_since = 990
    setup.tier.distrust([A])
    lock, leases = setup.tier._lock, setup.tier._leases
    setup.client.open("a reason")
    setup.tier.reset()
    assert setup.tier.listening_seconds() == 0
    assert not setup.tier._distrusted
    assert not setup.client.is_open
    assert setup.tier._lock is not lock
    assert setup.tier._leases is not leases


def test_states_without_a_value_are_what_they_are() -> None:
    setup = Setup()
    assert [setup.state(b"T"), setup.state(b"?")] == [Tombstone(), Unreadable()]


# --------------------------------------------------------------------------------------------------------------- finder


class Finding:
    """A finder whose answers a test gives, and its clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: str | BlueStarError) -> None:
        self.now, self.asked, self.answers = 0.0, 0, iter((*answers, *repeat("name", 3)))
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: self.now))
        made: Any = lambda name: name  # noqa: E731  # a tier that is its name
        self.finder = TierFinder(self.identify, made, legacy=None)

    def identify(self) -> str:
        self.asked += 1
        answer = next(self.answers)
        if isinstance(answer, BlueStarError):
            raise answer
        return answer

    def fails(self) -> bool:
        try:
            self.finder.find()
        except BlueStarError:
            return True
        return False


def test_a_tier_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    finding = Finding(monkeypatch)
    assert finding.finder.find() is finding.finder.find()
    assert finding.asked == 1
    finding.finder.forked()
    finding.finder.find()
    assert finding.asked == 2


@pytest.mark.parametrize(
    ("error", "seconds"), [(UnavailableError("no"), RETRY_SECONDS), (AccessDeniedError("no"), DENIED_SECONDS)]
)
def test_after_a_failure_it_is_not_asked_again_for_a_time(
    monkeypatch: pytest.MonkeyPatch, error: BlueStarError, seconds: float
) -> None:
    finding = Finding(monkeypatch, error)
    assert finding.fails()
    assert finding.finder.is_denied == isinstance(error, AccessDeniedError)
    finding.now = seconds - 0.1
    assert finding.fails()
    assert finding.asked == 1
    finding.now = seconds
    assert not finding.fails()
    assert (finding.asked, finding.finder.is_denied) == (2, False)


def test_that_a_call_is_denied_is_told_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    finding = Finding(monkeypatch, *(AccessDeniedError("no") for _ in range(2)))
    for now in (0, DENIED_SECONDS):
        finding.now = now
        assert finding.fails()
    assert [record.getMessage() for record in caplog.records] == [
        "no second tier of the cache: no (dynamodb:DescribeTable is needed)"
    ]
