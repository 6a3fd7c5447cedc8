"""The cache's backends: one suite, on memory, fakeredis with and without decoding, and a real Redis."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import fakeredis
import pytest
import redis

from bluestar_store.errors import CacheError
from bluestar_store.persistence import ICacheBackend, MemoryCacheBackend, RedisCacheBackend
from bluestar_store.persistence.cache_backends import MAX_TEXTS
from tests.servers import free_port


class BackendSuite:
    """Subclasses give the fixture `backend`."""

    @pytest.fixture
    def key(self) -> str:
        return f"calc_rule:ACME:{uuid.uuid4().hex}"

    def test_it_is_a_backend(self, backend: ICacheBackend) -> None:
        assert isinstance(backend, ICacheBackend)

    def test_what_was_set_is_given_as_text(self, backend: ICacheBackend, key: str) -> None:
        assert backend.get(key) is None
        backend.setex(key, 300, '{"name": "Zoë ☕"}')
        assert backend.get(key) == '{"name": "Zoë ☕"}'
        backend.setex(key, 300, "")
        assert backend.get(key) == ""

    def test_what_was_deleted_is_gone(self, backend: ICacheBackend, key: str) -> None:
        backend.setex(key, 300, "x")
        backend.delete(key)
        backend.delete(key)
        assert backend.get(key) is None

    def test_a_text_lasts_its_time(self, backend: ICacheBackend, key: str) -> None:
        backend.setex(key, 1, "x")
        assert backend.get(key) == "x"
        time.sleep(1.1)
        assert backend.get(key) is None

    @pytest.mark.parametrize("ttl", [0, -1])
    def test_a_text_for_no_time_is_refused(self, backend: ICacheBackend, key: str, ttl: int) -> None:
        with pytest.raises(CacheError):
            backend.setex(key, ttl, "x")
        assert backend.get(key) is None


class TestMemory(BackendSuite):
    @pytest.fixture
    def backend(self) -> MemoryCacheBackend:
        return MemoryCacheBackend()

    def test_the_time_is_the_clocks(self) -> None:
        now = [1000.0]
        backend = MemoryCacheBackend(lambda: now[0])
        backend.setex("a", 300, "x")
        now[0] += 299.9
        assert backend.get("a") == "x"
        now[0] += 0.1
        assert backend.get("a") is None

    def test_it_does_not_grow_without_end(self) -> None:
        backend = MemoryCacheBackend()
        for number in range(MAX_TEXTS + 10):
            backend.setex(str(number), 300, "x")
        assert sum(backend.get(str(number)) is not None for number in range(MAX_TEXTS + 10)) == MAX_TEXTS


class TestFakeRedis(BackendSuite):
    @pytest.fixture(params=[False, True], ids=["bytes", "text"])
    def backend(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> RedisCacheBackend:
        make = partial(fakeredis.FakeRedis, server=fakeredis.FakeServer(), decode_responses=request.param)
        monkeypatch.setattr(redis, "Redis", make)
        return RedisCacheBackend()


class TestRedis(BackendSuite):
    @pytest.fixture
    def backend(self, redis_url: str) -> RedisCacheBackend:
        address = urlsplit(redis_url)
        return RedisCacheBackend(address.hostname or "localhost", address.port or 6379, 0)

    def test_a_value_of_another_type_is_a_cache_error(self, backend: Any, key: str) -> None:
        backend._client.rpush(key, "x")
        with pytest.raises(CacheError, match="Redis cannot be read: refused: WRONGTYPE"):
            backend.get(key)
        backend.delete(key)

    def test_a_value_that_is_no_text_is_a_cache_error(self, backend: Any, key: str) -> None:
        backend._client.set(key, b"\xff")
        with pytest.raises(CacheError):
            backend.get(key)
        backend.delete(key)

    def test_a_connection_that_died_while_idle_is_replaced(self, backend: Any, key: str) -> None:
        backend.setex(key, 300, "x")
        address = backend._client.connection_pool.connection_kwargs
        with redis.Redis(host=address["host"], port=address["port"]) as other:
            other.client_kill_filter(_type="normal", skipme=True)
        assert backend.get(key) == "x"
        backend.delete(key)


def test_redis_is_made_by_calling_it_with_host_port_and_db(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}
    monkeypatch.setattr("bluestar_store.persistence.redis.Redis", lambda **given: seen.update(given))
    RedisCacheBackend(host="cache", port=6380, db=2)
    assert (seen["host"], seen["port"], seen["db"]) == ("cache", 6380, 2)
    RedisCacheBackend()
    assert (seen["host"], seen["port"], seen["db"]) == ("localhost", 6379, 0)


def test_a_stand_in_for_the_client_needs_get_setex_and_delete_only(monkeypatch: pytest.MonkeyPatch) -> None:
    class StandIn(dict[str, bytes]):
        def setex(self, key: str, ttl: int, value: str) -> None:
            self[key] = value.encode()

    monkeypatch.setattr("bluestar_store.persistence.redis.Redis", lambda **given: StandIn())
    backend = RedisCacheBackend()
    backend.setex("a", 300, "x")
    assert backend.get("a") == "x"


CALLS: dict[str, Callable[[RedisCacheBackend], object]] = {
    "get": lambda backend: backend.get("a"),
    "setex": lambda backend: backend.setex("a", 1, "x"),
    "delete": lambda backend: backend.delete("a"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_redis_that_is_not_there_is_a_cache_error_at_once(
    call: Callable[[RedisCacheBackend], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("redis.retry.sleep", pauses.append)
    backend = RedisCacheBackend("127.0.0.1", free_port())
    with pytest.raises(CacheError, match=r"connection failed \(ConnectionError\)"):
        call(backend)
    assert pauses == []


@pytest.mark.parametrize(
    "error", [redis.ResponseError("ERR secret"), OSError("secret"), RuntimeError("secret")], ids=repr
)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_whatever_the_client_raises_is_a_cache_error_without_its_text(
    call: Callable[[RedisCacheBackend], object], error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing:
        def _fail(self, *arguments: object) -> None:
            raise error

        get = setex = delete = _fail

    monkeypatch.setattr(redis, "Redis", lambda **given: Failing())
    with pytest.raises(CacheError) as raised:
        call(RedisCacheBackend())
    assert "secret" not in str(raised.value)


def test_what_a_test_puts_in_the_place_of_setex_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = fakeredis.FakeRedis()
    monkeypatch.setattr("redis.Redis", lambda **options: fake)

    def refuse(*arguments: object) -> None:
        raise redis.ConnectionError

    monkeypatch.setattr(fake, "setex", refuse)
    with pytest.raises(CacheError):
        RedisCacheBackend().setex("k", 300, "v")
