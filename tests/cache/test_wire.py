"""What one connection to Redis makes of an answer that is late, too large, or none."""

from __future__ import annotations

import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, NoPermissionError, ResponseError

from bluestar_store.cache.redis.connection import MAX_ANSWER_BYTES, MAX_BULK_BYTES, RespConnection
from tests.cache.stores import one_store, rule
from tests.redis_servers import RedisProcess

TIMEOUT_SECONDS = 0.2


class Opened:
    """What a RespConnection uses of redis-py's connections."""

    username: str | None = None
    password: str | None = None
    client_name: str | None = None
    db = 0
    socket_timeout = TIMEOUT_SECONDS

    def __init__(self, end: socket.socket) -> None:
        self._sock = end
        end.settimeout(TIMEOUT_SECONDS)

    def connect(self) -> None: ...

    def disconnect(self) -> None:
        self._sock.close()


@contextmanager
def wire_to(answer: Callable[[socket.socket], object]) -> Iterator[RespConnection]:
    """A wire to a server that answers the first request so."""
    ours, theirs = socket.socketpair()

    def serve() -> None:
        with theirs, suppress(OSError):
            theirs.recv(1000)
            answer(theirs)

    thread = threading.Thread(target=serve)
    thread.start()
    wire = RespConnection(Opened(ours))
    try:
        yield wire
    finally:
        wire.close()
        thread.join()


def replies_to(answer: bytes, count: int = 1) -> list[Any]:
    with wire_to(lambda end: end.sendall(answer)) as wire:
        return wire.exchange(b"?", count)


def test_every_reply_that_the_cache_asks_for_is_read() -> None:
    answer = (
        b"$5\r\nva\r\ne\r\n:-2\r\n$-1\r\n$0\r\n\r\n+OK\r\n*-1\r\n*2\r\n$1\r\n0\r\n*1\r\n$3\r\nkey\r\n-NOPERM no\r\n"
    )
    *replies, error = replies_to(answer, 8)
    assert replies == [b"va\r\ne", -2, None, b"", b"OK", None, [b"0", [b"key"]]]
    assert isinstance(error, NoPermissionError)


def test_replies_that_come_in_pieces_are_put_together() -> None:
    large = b"x" * 300_000
    answer = b"$%d\r\n%b\r\n:12\r\n*2\r\n$2\r\nab\r\n:7\r\n" % (len(large), large)

    def send(end: socket.socket) -> None:
        end.sendall(answer[:3])
        for at in range(3, len(answer), 50_000):
            time.sleep(0.001)
            end.sendall(answer[at : at + 50_000])

    with wire_to(send) as wire:
        assert wire.exchange(b"?", 3) == [large, 12, [b"ab", 7]]


@pytest.mark.parametrize(
    "answer",
    [
        b"$%d\r\n" % (MAX_BULK_BYTES + 1),
        b"$400000000\r\n",
        b"$99999999999999999999999999999\r\n",
        b"$-2\r\n",
        b"$1.5\r\n",
        b"$x\r\n",
        b"$\r\n",
        b":1e9\r\n",
        b":" + b"9" * 15_000 + b"\r\n",
        b"*-2\r\n",
        b"*1\r\n" * 1000,
        b"*4000000000\r\n*4000000000\r\n*4000000000\r\n*4000000000\r\n",
        b"%2\r\n",
        b"~1000000000\r\n",
        b">1\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"\r\n",
        b"x" * 100_000,
        b"$3\r\nabcd\r\n",
        b":1\r\n:2\r\n",
    ],
)
def test_what_is_no_answer_or_too_large_for_one_is_refused_by_its_header(answer: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(InvalidResponse):
            replies_to(answer)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_a_list_is_as_long_as_what_comes_and_not_as_it_says() -> None:
    with pytest.raises(RedisConnectionError):
        replies_to(b"*4000000000\r\n:1\r\n")


def test_an_answer_of_many_texts_is_bounded_as_a_whole() -> None:
    text = b"$%d\r\n%b\r\n" % (MAX_BULK_BYTES, b"x" * MAX_BULK_BYTES)

    def send(end: socket.socket) -> None:
        end.sendall(b"*1000\r\n")
        for _ in range(1000):
            end.sendall(text)

    opened = wire_to(send)
    with opened as wire:
        wire._seconds = 60
        with pytest.raises(InvalidResponse, match="too large"):
            wire.exchange(b"?", 1)
    assert MAX_ANSWER_BYTES < 100_000_000


@pytest.mark.parametrize("first", [b"$1000000\r\n", b"*1000\r\n", b"+", b""])
def test_one_deadline_holds_for_the_whole_answer_however_it_drips(first: bytes) -> None:
    def drip(end: socket.socket) -> None:
        end.sendall(first)
        while True:
            end.sendall(b":")
            time.sleep(0.02)

    with wire_to(drip) as wire:
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            wire.exchange(b"?", 1)
        assert time.monotonic() - started < 2 * TIMEOUT_SECONDS + 1


def test_a_message_that_drips_is_waited_for_no_longer_than_an_answer() -> None:
    def drip(end: socket.socket) -> None:
        end.sendall(b"*3\r\n$7\r\nmessage\r\n$1000\r\n")
        while True:
            end.sendall(b"x")
            time.sleep(0.02)

    with wire_to(drip) as wire:
        wire.send(("SUBSCRIBE", b"a"))
        assert wire.is_ready(5)
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            wire.receive()
        assert time.monotonic() - started < 2 * TIMEOUT_SECONDS + 1


@pytest.mark.parametrize("run_id", [b"", b"run_id:\r\n", b"run_id:" + b"a" * 100 + b"\r\n", b"run_id:a}b\r\n"])
def test_a_server_that_does_not_say_which_run_it_is_in_is_none(run_id: bytes) -> None:
    answer = b"$%d\r\n%b\r\n" % (len(run_id), run_id)
    with wire_to(lambda end: end.sendall(answer)) as wire, pytest.raises(ResponseError):
        wire.handshake()


def test_a_connection_names_its_client_and_its_database(redis_process: RedisProcess) -> None:
    with one_store(f"{redis_process.url}?client_name=agents&db=3") as (store, _):
        store.calculation_rules.put(rule("ACME", 5))
        client = redis_process.client()
        found = [one for one in client.client_list() if one["name"] == "agents"]
        assert {one["db"] for one in found} == {"3"}
