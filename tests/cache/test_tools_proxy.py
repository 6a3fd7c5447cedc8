"""The proxy before Redis counts what passes, and each order does what it says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
import redis
from redis.client import PubSub

from bluestar_store.testing.redis_wire import Request, RequestDecoder, command_name
from tests import servers
from tests.redis_proxy import RedisProxy
from tests.redis_servers import RedisProcess, impatient_client

TIMEOUT_SECONDS = 0.2
"""Of a client that is to give up."""
PATIENT_SECONDS = 30


def connect(client: redis.Redis) -> None:
    """Until it is connected: a busy machine takes longer than a hasty client waits."""

    def answers() -> bool:
        with suppress(redis.RedisError):
            return bool(client.ping())
        return False

    servers.wait_until(answers, "the client is connected")


@pytest.fixture
def client(redis_proxy: RedisProxy) -> Iterator[redis.Redis]:
    """A client through the proxy, connected; the proxy counts from nought."""
    with impatient_client(redis_proxy.url, PATIENT_SECONDS) as client:
        client.ping()
        redis_proxy.forget()
        yield client


@pytest.fixture
def direct(redis_process: RedisProcess) -> Iterator[redis.Redis]:
    """A client past the proxy."""
    with redis_process.client() as client:
        yield client


@pytest.fixture
def subscriber(client: Any) -> Iterator[PubSub]:
    """A subscriber of "channel" through the proxy."""
    with client.pubsub() as pubsub:
        pubsub.subscribe("channel")
        assert next_message(pubsub)["type"] == "subscribe"
        yield pubsub


def next_message(pubsub: PubSub, seconds: float = 5.0) -> Any:
    """The next message, None if there is none for so long."""
    return pubsub.get_message(timeout=seconds)


def test_commands_are_counted_in_their_order_and_a_pipeline_is_one_round_trip(
    redis_proxy: RedisProxy, client: redis.Redis
) -> None:
    client.set("a", "1")
    with client.pipeline(transaction=True) as pipeline:
        pipeline.get("a")
        pipeline.get("b")
        pipeline.execute()
    client.client_id()
    assert redis_proxy.commands == ["SET", "MULTI", "GET", "GET", "EXEC", "CLIENT ID"]
    assert redis_proxy.requests[0] == (b"SET", b"a", b"1")
    assert redis_proxy.round_trips == 3
    (connection,) = redis_proxy.connections
    assert (connection.commands, connection.round_trips) == (redis_proxy.commands, 3)


@pytest.mark.parametrize("size", [10, 5_000, 300_000])
def test_a_pipeline_is_one_round_trip_however_large(
    redis_proxy: RedisProxy, client: redis.Redis, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.redis_proxy.QUIET_SECONDS", 0.3)  # a client may be kept from the rest of it for a while
    with client.pipeline(transaction=False) as pipeline:
        for number in range(20):
            pipeline.set(f"key-{number}", b"x" * size)
        pipeline.execute()
    assert redis_proxy.commands == ["SET"] * 20
    assert redis_proxy.round_trips == 1
    assert client.get("key-19") == b"x" * size


def test_a_decoder_reads_commands_from_pieces_of_any_size() -> None:
    wire = b"*2\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\nPING\r\n*3\r\n$6\r\nscript\r\n$4\r\nload\r\n$0\r\n\r\n"
    expected: list[Request] = [(b"GET", b"a\r\nb"), (b"PING",), (b"script", b"load", b"")]
    for size in range(1, len(wire) + 1):
        decoder = RequestDecoder()
        pieces = [wire[start : start + size] for start in range(0, len(wire), size)]
        assert [request for piece in pieces for request in decoder.feed(piece)] == expected
    assert [command_name(request) for request in expected] == ["GET", "PING", "SCRIPT LOAD"]


def test_refuse_closes_what_is_open_and_refuses_what_is_new(redis_proxy: RedisProxy, client: redis.Redis) -> None:
    redis_proxy.refuse()
    with pytest.raises(redis.ConnectionError):
        client.get("a")
    with pytest.raises(redis.ConnectionError, match="refused"):
        client.get("a")
    redis_proxy.pass_on()
    assert client.get("a") is None


def test_hang_answers_neither_open_connections_nor_new_ones(redis_proxy: RedisProxy, direct: redis.Redis) -> None:
    with impatient_client(redis_proxy.url, TIMEOUT_SECONDS) as client:
        connect(client)
        redis_proxy.forget()
        redis_proxy.hang()
        for _ in range(2):  # the first call uses the open connection
            with pytest.raises(redis.TimeoutError):
                client.set("a", "late")
    assert "SET" in redis_proxy.commands
    assert redis_proxy.round_trips == 0
    assert direct.get("a") is None
    redis_proxy.pass_on()
    servers.wait_until(lambda: direct.get("a") == b"late", "what was held back arrives, though its sender has gone")


def test_a_call_that_hangs_is_answered_after_pass_on(redis_proxy: RedisProxy) -> None:
    redis_proxy.hang()
    with impatient_client(redis_proxy.url, PATIENT_SECONDS) as client, ThreadPoolExecutor(1) as executor:
        call = executor.submit(client.echo, "hello")
        servers.wait_until(lambda: bool(redis_proxy.commands), "the greeting came to the proxy")
        redis_proxy.pass_on()
        assert call.result() == b"hello"


def test_delay_makes_each_round_trip_longer_and_not_each_command(redis_proxy: RedisProxy, client: redis.Redis) -> None:
    redis_proxy.delay(ms=60)
    begin = time.monotonic()
    with client.pipeline(transaction=False) as pipeline:
        for _ in range(500):
            pipeline.get("a")
        pipeline.execute()
    assert 0.06 <= time.monotonic() - begin < 500 * 0.06


def test_cut_breaks_the_call_under_way_and_the_next_one_connects_again(redis_proxy: RedisProxy) -> None:
    with impatient_client(redis_proxy.url, PATIENT_SECONDS) as client, ThreadPoolExecutor(1) as executor:
        client.ping()
        redis_proxy.hang()
        call = executor.submit(client.get, "a")
        redis_proxy.wait_for("GET")
        redis_proxy.cut()
        with pytest.raises(redis.ConnectionError):
            call.result()
        redis_proxy.pass_on()
        assert client.get("a") is None
    assert len(redis_proxy.connections) == 2


def test_garbage_is_no_redis_and_the_command_was_carried_out(
    redis_proxy: RedisProxy, client: redis.Redis, direct: redis.Redis
) -> None:
    redis_proxy.garbage()
    with pytest.raises((redis.InvalidResponse, redis.ConnectionError)):
        client.set("a", "1")
    assert direct.get("a") == b"1"


def test_a_dropped_reply_is_of_a_command_that_was_carried_out(
    redis_proxy: RedisProxy, client: redis.Redis, direct: redis.Redis
) -> None:
    redis_proxy.drop_replies("set", times=1)
    assert client.get("a") is None
    with pytest.raises(redis.ConnectionError):
        client.set("a", "1")
    assert direct.get("a") == b"1"
    assert client.set("a", "2")  # one was asked for


def test_mute_pubsub_leaves_other_connections_alone(
    redis_proxy: RedisProxy, client: redis.Redis, subscriber: PubSub, direct: redis.Redis
) -> None:
    direct.publish("channel", "before")
    assert next_message(subscriber)["data"] == b"before"
    redis_proxy.mute_pubsub()
    assert direct.publish("channel", "held back") == 1
    assert client.get("a") is None  # a whole round trip later than the message
    assert next_message(subscriber, TIMEOUT_SECONDS) is None
    redis_proxy.pass_on()
    assert next_message(subscriber)["data"] == b"held back"


def test_cut_can_be_of_subscribers_alone(redis_proxy: RedisProxy, client: redis.Redis, subscriber: PubSub) -> None:
    redis_proxy.cut(pubsub_only=True)
    assert client.get("a") is None
    with pytest.raises(redis.ConnectionError):
        next_message(subscriber)


@pytest.mark.parametrize("misbehave", [RedisProxy.hang, RedisProxy.garbage, RedisProxy.refuse])
def test_a_proxy_ends_in_whatever_state_it_is(
    redis_process: RedisProcess, misbehave: Callable[[RedisProxy], None]
) -> None:
    with RedisProxy(redis_process.url) as proxy, impatient_client(proxy.url, TIMEOUT_SECONDS) as client:
        connect(client)
        misbehave(proxy)
        with pytest.raises((redis.ConnectionError, redis.TimeoutError, redis.InvalidResponse)):
            client.get("a")
    with pytest.raises(redis.ConnectionError, match="refused"):
        client.get("a")
