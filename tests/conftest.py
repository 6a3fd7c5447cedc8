"""Fixtures: a clean environment and real servers. The dear ones are shared by all xdist workers."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any

import botocore.loaders
import hypothesis
import pytest
import typer.main
import typer.testing
from pydantic_settings import EnvSettingsSource

# Before anything imports them: they are subclassed, not collected.
pytest.register_assert_rewrite("bluestar_store.testing", "tests.store_suite")

from bluestar_store.testing.environment import with_fake_aws, without_settings  # noqa: E402  # see above
from tests import postgres_servers, redis_servers, servers  # noqa: E402  # see above

pytest_plugins = ["pytester"]

# No deadlines: a first call that makes a client or a table is slow without being wrong.
EXAMPLES = 30
hypothesis.settings.register_profile("default", deadline=None, max_examples=EXAMPLES)
hypothesis.settings.register_profile("ci", deadline=None, max_examples=EXAMPLES, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("default")  # pytest --hypothesis-profile=ci takes the other


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="many more rounds of races and random operations")
    parser.addoption("--minutes", default="0.2", help="how long the simulated day lasts; 30: the whole day")


@pytest.hookimpl(trylast=True)  # after Hypothesis has loaded the profile that its own option names
def pytest_configure(config: pytest.Config) -> None:
    """With --soak many more examples, also for tests that take a multiple of the profile's."""
    if config.getoption("--soak"):
        hypothesis.settings.register_profile("soak", max_examples=1000)
        hypothesis.settings.load_profile("soak")


@pytest.hookimpl(tryfirst=True)  # before pytest looks at the marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, or put off, what a suite does not ask for with `every_rule`."""
    unwanted = set[pytest.Item]()
    for item in items:
        every_rule = getattr(getattr(item, "cls", None), "every_rule", True)
        if every_rule is True or item.get_closest_marker("every_engine"):
            continue
        if every_rule == "slow":
            item.add_marker("slow")
        else:
            unwanted.add(item)
    config.hook.pytest_deselected(items=list(unwanted))
    items[:] = [item for item in items if item not in unwanted]


@pytest.fixture(scope="session")
def soak(pytestconfig: pytest.Config) -> bool:
    """Whether --soak was given."""
    return bool(pytestconfig.getoption("--soak"))


def _clean(patch: pytest.MonkeyPatch) -> None:
    without_settings(patch)
    with_fake_aws(patch)
    patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)  # each process that a test starts would compile us anew
    for name in ("NO_PROXY", "no_proxy"):  # a developer's web proxy must not stand before our local servers
        patch.setenv(name, "127.0.0.1,localhost")


@pytest.fixture(scope="session", autouse=True)
def _clean_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reaches a real cloud account, nor sees the developer's own settings; wider fixtures do not either."""
    with pytest.MonkeyPatch.context() as patch:
        _clean(patch)
        redis_servers.put_a_redis_server_on_path(patch, tmp_path_factory.mktemp("programs"))
        yield


@pytest.fixture(autouse=True)
def _clean_environment(_clean_session: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for each test, whatever another test left in os.environ."""
    _clean(monkeypatch)


@pytest.fixture(scope="session", autouse=True)
def _moto_has_handlers_inside_its_mocks_only() -> Iterator[None]:
    """Elsewhere clients are as in a process without moto: once imported, it has a handler in each."""
    from botocore.handlers import BUILTIN_HANDLERS
    from moto.core.models import MockAWS, botocore_stubber

    handler = ("before-send", botocore_stubber)
    enable, disable = MockAWS._enable_patching, MockAWS._disable_patching

    def enter(self: MockAWS, **options: bool) -> None:
        BUILTIN_HANDLERS.append(handler)
        enable(self, **options)

    def leave(self: MockAWS, remove_data: bool) -> None:
        disable(self, remove_data)
        BUILTIN_HANDLERS.remove(handler)

    BUILTIN_HANDLERS.remove(handler)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MockAWS, "_enable_patching", enter)
        patch.setattr(MockAWS, "_disable_patching", leave)
        yield
    BUILTIN_HANDLERS.append(handler)


@pytest.fixture(scope="session", autouse=True)
def _service_models_are_read_once() -> Iterator[None]:
    """For each client botocore reads a megabyte of JSON, in a session that knows nothing of those before."""
    with pytest.MonkeyPatch.context() as patch:
        load_file = botocore.loaders.JSONFileLoader.load_file
        load_once = cache(lambda path: load_file(botocore.loaders.JSONFileLoader(), path))
        patch.setattr(botocore.loaders.JSONFileLoader, "load_file", lambda _, path: load_once(path))
        yield


@pytest.fixture(scope="session", autouse=True)
def _fields_of_settings_are_looked_at_once() -> Iterator[None]:
    """Pydantic asks the type of each field anew for each Settings, which takes most of the time that one does."""
    fields = list[Any]()  # kept, so that no other gets the id of one

    def once(look: Callable[..., Any]) -> Callable[..., Any]:
        found = dict[tuple[object, ...], Any]()

        def look_once(source: EnvSettingsSource, field: Any, *name: str) -> Any:
            key = (type(source), id(field), *name)
            if key not in found:
                fields.append(field)
                found[key] = look(source, field, *name)
            return found[key]

        return look_once

    with pytest.MonkeyPatch.context() as patch:
        for name in ("_field_is_complex", "_extract_field_info"):
            patch.setattr(EnvSettingsSource, name, once(getattr(EnvSettingsSource, name)))
        yield


@pytest.fixture(scope="session", autouse=True)
def _nothing_waits_for_the_disk() -> Iterator[None]:
    """One fsync takes milliseconds, and no test cuts the power: those about what is synced when listen to the calls.

    A file that is closed already is an error as before.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", os.fstat)
        yield


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipeline that lost steps is given up at the second look: nobody is replacing it."""
    monkeypatch.setattr("bluestar_store.repositories.pipelines.READ_ATTEMPTS", 2)


@pytest.fixture(scope="session", autouse=True)
def _commands_are_built_once() -> Iterator[None]:
    """Typer's runner builds the tree of commands anew for each call, which takes longer than most commands."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.testing, "_get_command", cache(typer.main.get_command))
        yield


@pytest.fixture(scope="session")
def dynamodb_local_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """AWS's DynamoDB Local, shared by all tests of all workers: give your tables a suffix of their own.

    BLUESTAR_TEST_DYNAMODB_URL names one that runs already; then it must answer.
    """
    if url := os.environ.get("BLUESTAR_TEST_DYNAMODB_URL"):
        if not servers.http_answers(url):
            pytest.fail(f"BLUESTAR_TEST_DYNAMODB_URL is set and nothing answers at {url}", pytrace=False)
        yield url
        return
    with servers.shared("dynamodb-local", tmp_path_factory, servers.dynamodb_local) as url:
        yield url


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Redis, shared by all tests of this worker: give your keys a prefix of their own.

    BLUESTAR_TEST_REDIS_URL names one that runs already; then it must answer.
    """
    if url := os.environ.get("BLUESTAR_TEST_REDIS_URL"):
        if not servers.redis_answers(url):
            pytest.fail(f"BLUESTAR_TEST_REDIS_URL is set and nothing answers at {url}", pytrace=False)
        yield url
        return
    with redis_servers.redis_process(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A real PostgreSQL, shared by all tests of this worker: leave no tables in it."""
    with postgres_servers.postgres(password="s3cret/word") as url:
        yield url


@pytest.fixture(scope="session")
def _fault_proxies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], servers.FaultProxy]]:
    """One proxy an upstream for the whole session."""
    with ExitStack() as started:

        @cache
        def start(upstream_url: str) -> servers.FaultProxy:
            folder = tmp_path_factory.mktemp("microburst")
            return started.enter_context(servers.microburst(upstream_url, folder))

        yield start


@pytest.fixture
def fault_proxy(
    _fault_proxies: Callable[[str], servers.FaultProxy],
) -> Iterator[Callable[[str], servers.FaultProxy]]:
    """Call it with a server's URL: gives the proxy before that server, which can be told to fail.

    Each test finds it without rules; asked for the same server twice, it is the same proxy.
    """
    used: list[servers.FaultProxy] = []

    def get(upstream_url: str) -> servers.FaultProxy:
        proxy = _fault_proxies(upstream_url)
        if proxy not in used:
            used.append(proxy)
        return proxy

    yield get
    for proxy in used:
        proxy.clear()


@pytest.hookimpl(wrapper=True, tryfirst=True)  # round pytest's own summary, so that this stands below it
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """Say loudly which servers had no test: a green run without them proves less."""
    yield
    missing: Counter[str] = Counter()
    for report in terminalreporter.getreports("skipped"):
        if isinstance(report, pytest.TestReport) and isinstance(report.longrepr, tuple):
            _, mark, reason = report.longrepr[2].partition(servers.UNAVAILABLE)
            if mark:
                missing[reason] += 1
    if missing:
        terminalreporter.section("SERVERS NOT TESTED", sep="!", red=True, bold=True)
        for reason, count in missing.most_common():
            terminalreporter.line(f"{count} tests skipped: {reason}", red=True)
