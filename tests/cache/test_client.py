"""Commands to the servers that hold the keys: which server gets which, redirects, and the circuit breaker."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from redis.connection import SSLConnection
from redis.exceptions import AskError, MovedError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from bluestar_store import ConfigurationError, Settings
from bluestar_store.cache.redis import client
from bluestar_store.cache.redis.client import MOST_REDIRECTS, CommandOf, follow_redirects, open_topology
from bluestar_store.cache.redis.connection import Command, RedisCallError, call_error
from bluestar_store.protocols import CacheKey
from bluestar_store.settings import RedisMode
from tests.cache.scripted_servers import RUN, Published

KEYS: list[CacheKey] = [("k", 0), ("k", 1), ("k", 2)]


def gets(keys: Sequence[CacheKey]) -> CommandOf:
    return lambda number, redis_key: ("GET", redis_key(keys[number]))


def text_of(command: Command) -> object:
    return command[1]


# -------------------------------------------------------------------------------------------------------------- servers


@pytest.mark.parametrize("count", [1, 2])
def test_the_reply_to_each_key_comes_from_its_server(count: int) -> None:
    made = Published(count)
    for server in made.servers.all:
        server.answers["GET"] = text_of
    namespace = made.client.namespace
    assert made.client.run(KEYS, gets(KEYS)) == [namespace.redis_key(key, RUN) for key in KEYS]
    assert [len(server.sent) for server in made.servers.all] == ([3] if count == 1 else [2, 1])
    assert not made.client.is_open


def test_all_servers_are_asked_before_a_failure_is_told() -> None:
    made = Published(2)
    made.servers.all[0].down = True
    with pytest.raises(RedisCallError, match="connection failed"):
        made.client.run_on_all(KEYS, gets(KEYS), made.client.namespace)
    assert len(made.servers.all[1].sent) == 1
    assert not made.client.is_open
    assert made.client.run(KEYS, gets(KEYS)) is None
    assert made.client.is_open


def test_keys_without_a_server_fail_after_the_others_were_sent() -> None:
    made = Published(2)
    keys: list[CacheKey] = [("nowhere",), ("k", 0)]
    with pytest.raises(RedisCallError, match="no master"):
        made.client.run_on_all(keys, gets(keys), made.client.namespace)
    assert len(made.servers.all[0].sent) == 1


def test_a_refusal_is_a_failure_but_a_key_of_the_wrong_type_is_an_answer() -> None:
    made = Published()
    made.server.answers["GET"] = ResponseError("WRONGTYPE Operation against a key")
    (reply,) = made.client.run(KEYS[:1], gets(KEYS)) or []
    assert isinstance(reply, ResponseError)
    made.server.answers["GET"] = ResponseError("NOPERM no")
    assert made.client.run(KEYS[:1], gets(KEYS)) is None
    assert made.counters.last_error == "refused: NOPERM"


# ------------------------------------------------------------------------------------------------------------ redirects


def test_a_key_that_moved_is_asked_for_where_it_is_now() -> None:
    made = Published(2)
    made.servers.all[0].answers["GET"] = MovedError("1 host:1")
    made.servers.all[1].answers["GET"] = b"there"
    assert made.client.run([("k", 0), ("k", 1)], gets(KEYS)) == [b"there", b"there"]
    assert made.servers.events.count("moved") == 1


def test_a_key_that_is_moving_is_asked_for_with_asking_before_each_command() -> None:
    made = Published(2)
    made.servers.all[0].answers["GET"] = AskError("1 host:1")
    made.servers.all[1].answers |= {"GET": b"there", "ASKING": b"OK"}
    assert made.client.run([("k", 0)], gets(KEYS)) == [b"there"]
    assert made.servers.all[1].calls == [["ASKING", "GET"]]
    assert "moved" not in made.servers.events


def test_redirects_end_somewhere() -> None:
    made = Published(2)
    for number, server in enumerate(made.servers.all):
        server.answers["GET"] = MovedError(f"1 host:{1 - number}")
    with pytest.raises(RedisCallError, match="redirect to each other"):
        follow_redirects(made.servers, [MovedError("1 host:0")], lambda run_id: [("GET", b"k")])
    assert sum(len(server.sent) for server in made.servers.all) == MOST_REDIRECTS


def test_a_refusal_after_a_redirect_is_a_failure() -> None:
    made = Published(2)
    made.servers.all[1].answers["GET"] = ResponseError("NOPERM no")
    with pytest.raises(RedisCallError, match="NOPERM"):
        follow_redirects(made.servers, [MovedError("1 host:1")], lambda run_id: [("GET", b"k")])


# --------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("error", "said", "refused"),
    [
        (TimeoutError("sent: secret"), "no answer in time", False),
        (RedisTimeoutError("sent: secret"), "no answer in time", False),
        (ResponseError("OOM secret"), "refused: OOM", True),
        (ResponseError("secret is wrong"), "refused: ResponseError", True),
        (OSError("secret"), "connection failed (OSError)", False),
    ],
    ids=repr,
)
def test_an_error_is_told_by_its_kind_alone(error: Exception, said: str, refused: bool) -> None:
    found = call_error(error)
    assert (str(found), found.is_refusal, found.cause) == (said, refused, error)
    assert RedisCallError("of its own").cause is not None


def test_sentinel_needs_the_name_of_a_service() -> None:
    said = Settings(persistence_mode="memory", redis_url="redis://sentinel:26379")
    said = said.model_copy(update={"redis_mode": RedisMode.SENTINEL})
    with pytest.raises(ConfigurationError, match="=sentinel needs BLUESTAR_REDIS_SENTINEL_SERVICE"):
        open_topology(said)


# -------------------------------------------------------------------------------------------------------------- breaker


def test_the_breaker_opens_once_an_outage_and_closes_where_it_may() -> None:
    made = Published()
    client = made.client
    assert (client.is_open, client.may_publish, client.trusted_since) == (False, True, -math.inf)
    client.open("a reason")
    client.may_publish = False
    client.open("another")
    assert (client.is_open, client.may_publish) == (True, False)
    assert (made.count("outages"), made.counters.last_error) == (1, "a reason")
    assert not client.close_breaker(lambda: False)
    assert (client.is_open, client.trusted_since) == (True, -math.inf)
    assert client.close_breaker(lambda: True)
    assert (client.is_open, client.trusted_since) == (False, 1000)
    client.open("a third")
    assert (client.may_publish, made.count("outages")) == (True, 2)


def test_what_is_not_trusted_any_more_never_is_again() -> None:
    client = Published().client
    client.distrust(before=7)
    client.distrust(before=5)
    assert client.trusted_since == 7


def test_a_forked_child_begins_with_a_closed_breaker() -> None:
    made = Published()
    made.client.open("a reason")
    made.client.may_publish = False
    lock = made.client._lock
    made.client.reset()
    assert (made.client.is_open, made.client.may_publish, made.client.trusted_since) == (False, True, -math.inf)
    assert made.client._lock is not lock
    assert made.servers.events[-1] == "reset"
    made.client.close()
    assert made.servers.events[-1] == "close"


# --------------------------------------------------------------------------------------------------------------- opened


def opened(url: str, mode: RedisMode, **said: Any) -> Any:
    settings = Settings(persistence_mode="memory", redis_url=url, redis_timeout_ms=250, redis_mode=mode, **said)
    return open_topology(settings)


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
def test_sentinels_are_asked_in_time_and_the_password_is_the_masters(scheme: str) -> None:
    url = f"{scheme}://user:pw@s1:26380,s2/3"
    pool = opened(url, RedisMode.SENTINEL, redis_sentinel_service="main").single._pool
    asked = [one.connection_pool.connection_kwargs for one in pool.sentinel_manager.sentinels]
    assert [(one["host"], one["port"]) for one in asked] == [("s1", 26380), ("s2", 26379)]
    for options in (*asked, pool.connection_kwargs):
        assert (options["socket_timeout"], options["socket_connect_timeout"]) == (0.25, 0.25)
        assert options["retry"]._retries == 0
    kept = pool.connection_kwargs
    assert (pool.service_name, kept["username"], kept["password"], kept["db"]) == ("main", "user", "pw", 3)
    assert all("password" not in one or one["password"] is None for one in asked)
    classes = {one.connection_pool.connection_class for one in pool.sentinel_manager.sentinels}
    assert [issubclass(one, SSLConnection) for one in classes] == [scheme == "rediss"]
    assert issubclass(pool.connection_class, SSLConnection) == (scheme == "rediss")


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
def test_a_cluster_is_looked_up_once_with_the_options_of_the_url(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = list[dict[str, Any]]()

    def cluster(**options: Any) -> Any:
        made.append(options)
        node = SimpleNamespace(host="n1", port=7001)
        return SimpleNamespace(get_node_from_key=lambda key: node, get_primaries=lambda: [node], close=lambda: None)

    monkeypatch.setattr(client, "RedisCluster", cluster)
    topology = opened(f"{scheme}://user:pw@c1:7000/0", RedisMode.CLUSTER)
    assert topology.single is None
    server = topology.server_for(b"key")
    assert [server] == topology.servers() == [topology.server_at("n1", 7001)]
    (options,) = made
    assert {name: options[name] for name in ("host", "port", "username", "password")} == {
        "host": "c1",
        "port": 7000,
        "username": "user",
        "password": "pw",
    }
    assert (options["socket_timeout"], options.get("ssl", False)) == (0.25, scheme == "rediss")
    assert "db" not in options
    kept = server._pool.connection_kwargs
    assert (kept["host"], kept["port"], kept["password"]) == ("n1", 7001, "pw")
    assert topology.server_at("n2", 7001) is not server
    topology.close()


def test_threads_that_waited_for_a_cluster_in_vain_do_not_look_it_up_each(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[int]()

    def failing(**options: Any) -> Any:
        asked.append(1)
        raise ResponseError("ERR This instance has cluster support disabled")

    monkeypatch.setattr(client, "RedisCluster", failing)
    topology = opened("redis://c1:7000", RedisMode.CLUSTER)
    for count in (1, 2):
        with pytest.raises(RedisCallError, match="refused: ERR"):
            topology.servers()
        assert len(asked) == count
    meanwhile = topology._failures

    class Held:
        """Another thread's look ends, in vain, while this one waits for the lock."""

        def __enter__(self) -> None:
            topology._failures = meanwhile + 1

        def __exit__(self, *_: object) -> None:
            """Nothing to do."""

    topology._lock = Held()
    with pytest.raises(RedisCallError, match="the cluster cannot be reached"):
        topology.servers()
    assert len(asked) == 2
