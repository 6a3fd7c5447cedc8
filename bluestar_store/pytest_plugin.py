"""Fixtures for the tests of agents: see docs/testing.md. Every project that installs the library has them.

Loading this module imports nothing of the library's that takes time: each fixture imports what it needs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from bluestar_store import Store
    from bluestar_store.extending import Mapper
    from bluestar_store.testing import AssertReads, FaultCache, Faults, FrozenClock, RedisForTests, SeedRules
    from bluestar_store.testing.stores import Seeded, Stores

REDIS_KINDS = ("fake", "server")


def pytest_addoption(parser: pytest.Parser) -> None:
    """The one choice there is: which Redis."""
    help_text = "what bluestar_redis is: fake (fakeredis, the default) or server (a redis-server of its own, from PATH)"
    parser.getgroup("bluestar-store").addoption("--bluestar-redis", choices=REDIS_KINDS, help=help_text)
    parser.addini("bluestar_redis", help_text, default="fake")


@pytest.fixture
def bluestar_settings() -> dict[str, Any]:
    """Fields of Settings for the Stores below: override it in a conftest.py, or in a test module."""
    return {}


@pytest.fixture
def bluestar_kinds() -> Sequence[Mapper[Any]]:
    """Kinds of items of your own for the Stores below: override it."""
    return ()


@pytest.fixture
def bluestar_store(_bluestar: Stores) -> Iterator[Store]:
    """A Store in memory with the baseline rules in it, for this test alone."""
    with _bluestar.memory() as store:
        yield store


@pytest.fixture
def bluestar_dynamo_store(_bluestar_aws: None, _bluestar: Stores) -> Iterator[Store]:
    """The same on moto's DynamoDB. As long as the test runs, every AWS client made in it reaches moto only."""
    with _bluestar.dynamo() as store:
        yield store


@pytest.fixture
def bluestar_redis(_bluestar_redis_server: RedisForTests, request: pytest.FixtureRequest) -> RedisForTests:
    """An empty Redis: `url`, `host`, `port`, `client` and `outage()`. The Stores of a test that asks for it use it."""
    _bluestar_redis_server.clear()
    if clock := _fixture_value(request, "bluestar_clock"):
        clock.on_advance(_bluestar_redis_server.pass_time)
    return _bluestar_redis_server


@pytest.fixture
def bluestar_clock() -> FrozenClock:
    """A clock that stands still until `advance`. The Stores, the cache and the Redis of a test that asks live by it."""
    from bluestar_store.testing import FrozenClock

    return FrozenClock()


@pytest.fixture
def bluestar_faults(request: pytest.FixtureRequest) -> Faults:
    """What goes wrong in the engines of this test's Stores, and which calls they got."""
    from bluestar_store.testing import ENGINE_CALLS, Faults

    return _faults(request, Faults, ENGINE_CALLS)


@pytest.fixture
def bluestar_cache(request: pytest.FixtureRequest) -> FaultCache:
    """A cache backend in memory for `bluestar_store.persistence`, with `faults` of its own."""
    from bluestar_store.persistence import MemoryCacheBackend
    from bluestar_store.testing import CACHE_CALLS, FaultCache, Faults

    clock = _fixture_value(request, "bluestar_clock")
    return FaultCache(MemoryCacheBackend(clock and clock.monotonic), _faults(request, Faults, CACHE_CALLS))


@pytest.fixture
def seed_rules(_bluestar: Stores, request: pytest.FixtureRequest) -> SeedRules:
    """`seed_rules(...)` writes folders of rules, rule sets and entities into the Stores of this test."""
    from bluestar_store.testing import SeedRules

    def stores() -> Sequence[Store]:
        return _bluestar.opened or [request.getfixturevalue("bluestar_store")]

    return SeedRules(stores, request.config.rootpath)


@pytest.fixture
def assert_reads(_bluestar: Stores) -> AssertReads:
    """`with assert_reads(engine=1):` fails unless the Stores of this test read so often in the block."""
    return _bluestar.reads


# ------------------------------------------------------------------------------------------- what the fixtures share


def _fixture_value(request: pytest.FixtureRequest, name: str) -> Any:
    """The value of a fixture that the test, or a fixture of its, asks for; None when none of them does."""
    return request.getfixturevalue(name) if name in request.fixturenames else None


def _faults(request: pytest.FixtureRequest, kind: type[Faults], names: Sequence[str]) -> Faults:
    clock = _fixture_value(request, "bluestar_clock")
    return kind(names, sleep=clock.sleep) if clock else kind(names)


@pytest.fixture
def _bluestar(
    request: pytest.FixtureRequest,
    bluestar_settings: dict[str, Any],
    bluestar_kinds: Sequence[Mapper[Any]],
    bluestar_faults: Faults,
    _bluestar_seeded: Seeded,
) -> Stores:
    from bluestar_store.testing.stores import StoreRequest, Stores

    settings = {"files_url": "memory://", **bluestar_settings}
    if redis := _fixture_value(request, "bluestar_redis"):
        # Two seconds rather than 50 ms: a busy machine is no outage, and fakeredis shares this process's time.
        settings = {"redis_timeout_ms": 2000, **settings, "redis_url": redis.url}
    wanted = StoreRequest(settings, bluestar_kinds, bluestar_faults, _fixture_value(request, "bluestar_clock"))
    return Stores(_bluestar_seeded, wanted)


@pytest.fixture(scope="session")
def _bluestar_seeded() -> Seeded:
    from bluestar_store.testing.stores import Seeded

    return Seeded()


@pytest.fixture
def _bluestar_aws() -> Iterator[None]:
    from bluestar_store.testing.environment import INSTALL, with_fake_aws

    try:
        from moto import mock_aws
    except ImportError as error:
        pytest.fail(f"bluestar_dynamo_store needs moto[dynamodb] ({error}): {INSTALL}", pytrace=False)
    with pytest.MonkeyPatch.context() as patch:
        with_fake_aws(patch)
        with mock_aws(config={"core": {"mock_credentials": False}}):  # ours are no account's already
            yield


@pytest.fixture(scope="session")
def _bluestar_redis_server(pytestconfig: pytest.Config) -> Iterator[RedisForTests]:
    from bluestar_store.errors import ConfigurationError
    from bluestar_store.testing.redis_server import redis_for_tests

    kind = pytestconfig.getoption("--bluestar-redis") or pytestconfig.getini("bluestar_redis")
    try:
        server = redis_for_tests(kind)
    except ConfigurationError as error:
        pytest.fail(str(error), pytrace=False)
    with server as redis:
        yield redis
