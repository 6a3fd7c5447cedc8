"""What AWS's own variables, files and sources of credentials say to the connection, and how their faults are told."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import botocore.endpoint
import pytest
from botocore.credentials import Credentials
from botocore.exceptions import (
    ClientError,
    CredentialRetrievalError,
    EndpointConnectionError,
    InvalidConfigError,
    SSLError,
    SSOTokenLoadError,
    UnauthorizedSSOTokenError,
)

from bluestar_store import Settings, Store
from bluestar_store.engines.dynamo.connection import AwsConnection
from bluestar_store.engines.dynamo.engine import DynamoEngine
from bluestar_store.engines.dynamo.translation import translated
from bluestar_store.errors import ConfigurationError, ThrottledError, UnavailableError, may_pass
from bluestar_store.testing.frozen_clock import FrozenClock
from tests.engines.conftest import connection_to
from tests.engines.players import FOUND, KEY, TABLE, error, found, playing
from tests.servers import free_port

THROTTLED = (400, error("ProvisionedThroughputExceededException"), dict[str, str]())


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between botocore's tries, which are not made."""
    made: list[float] = []
    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=made.append))
    return made


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """AWS's configuration file, of a user without any credentials."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    path = tmp_path / "config"
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return path


def tries_of(engine: DynamoEngine, asked: list[str]) -> int:
    asked.clear()
    with pytest.raises(ThrottledError):
        found(engine)
    return len(asked)


@pytest.mark.parametrize("most", [1, 2, 4])
def test_the_tries_are_as_many_as_the_setting_says_on_each_way(most: int, pauses: list[float]) -> None:
    with playing(THROTTLED, max_attempts=most) as player:
        assert tries_of(player.engine, player.asked) == most
        assert player.ways == ["direct", *["botocore"] * (most - 1)]
        assert len(pauses) == most - 1
        player.engine.connection._made().client.meta.events.register("after-call", lambda **_: None)
        assert tries_of(player.engine, player.asked) == most
        assert player.ways[most:] == ["botocore"] * most


def test_a_quota_that_is_used_up_leaves_one_try_a_call_and_successes_fill_it_again(pauses: list[float]) -> None:
    throttled = [THROTTLED] * 160  # 500 tokens are 100 tries, two for each of 50 calls
    with playing(*throttled, (200, FOUND, {}), max_attempts=3) as player:
        counts = [tries_of(player.engine, player.asked) for _ in range(60)]
        assert counts == [3] * 50 + [1] * 10
        left = _quota_of(player.engine)
        for _ in range(21):
            assert found(player.engine) == [KEY]
        assert _quota_of(player.engine) == left + 21


def _quota_of(engine: DynamoEngine) -> int:
    direct = engine.connection._made().direct
    assert direct is not None
    (give_back,) = direct._give_back
    return int(give_back.__self__._quota.available_capacity)  # type: ignore[attr-defined]  # a bound method


def connection_of(settings: Settings) -> AwsConnection:
    return AwsConnection.from_settings(settings)


def test_awss_own_number_of_tries_counts_where_the_setting_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    assert connection_of(Settings())._max_attempts == 4
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "7")
    assert connection_of(Settings())._max_attempts == 7
    assert connection_of(Settings(max_attempts=2))._max_attempts == 2
    monkeypatch.setenv("BLUESTAR_MAX_ATTEMPTS", "3")
    assert connection_of(Settings())._max_attempts == 3


@pytest.mark.parametrize("value", ["0", "many"])
def test_a_number_of_tries_that_is_none_is_a_configuration_error(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", value)
    with pytest.raises(ConfigurationError, match="AWS_MAX_ATTEMPTS"):
        connection_of(Settings())


def test_the_configuration_file_says_tries_mode_and_endpoint(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text(
        "[default]\nregion = eu-west-1\nmax_attempts = 6\nretry_mode = legacy\nendpoint_url = http://127.0.0.1:9\n"
        "aws_access_key_id = a\naws_secret_access_key = b\n"
    )
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    connection = connection_of(Settings())
    assert connection.location == "DynamoDB at http://127.0.0.1:9"
    retries = connection._made().client.meta.config.retries
    assert (retries["total_max_attempts"], retries["mode"]) == (6, "legacy")
    assert connection._made().client.meta.region_name == "eu-west-1"
    connection.close()


def test_the_cache_keeps_out_old_values_for_as_long_as_so_many_tries_can_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "9")
    with Store.open(Settings(persistence_mode="dynamo")) as store:
        assert store.settings.max_attempts == 9


def test_adaptive_retries_also_pace_first_tries_so_botocore_makes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_RETRY_MODE", "adaptive")
    with playing((200, FOUND, {})) as player:
        assert found(player.engine) == [KEY]
        assert player.ways == ["botocore"]


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "DynamoDB at http://127.0.0.1:9"),
        ({"AWS_ENDPOINT_URL_DYNAMODB": "https://vpce-1.amazonaws.com"}, "DynamoDB at https://vpce-1.amazonaws.com"),
        ({"AWS_ENDPOINT_URL_DYNAMODB": "https://user:secret@proxy.acme/x"}, "DynamoDB at https://proxy.acme/x"),
        ({"AWS_ENDPOINT_URL": "http://a", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, "DynamoDB in us-east-1"),
        ({}, "DynamoDB in us-east-1"),
    ],
)
def test_the_location_is_the_endpoint_that_is_asked(
    variables: dict[str, str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    connection = connection_of(Settings())
    assert connection.location == told
    connection._made()
    assert connection.location == told
    connection.close()


REASONS: dict[str, Exception] = {
    "vault is sealed": CredentialRetrievalError(provider="custom-process", error_msg="vault is sealed"),
    "Token for acme": SSOTokenLoadError(error_msg="Token for acme does not exist"),
    "SSO session": UnauthorizedSSOTokenError(),
    "source_profile": InvalidConfigError(error_msg="The source_profile nowhere does not exist"),
    "not authorized": ClientError(
        {"Error": {"Code": "AccessDenied", "Message": "is not authorized to assume payroll"}}, "AssumeRole"
    ),
    "sts.us-east-1": EndpointConnectionError(endpoint_url="https://sts.us-east-1.amazonaws.com/", error="x"),
}


@pytest.mark.parametrize("reason", REASONS)
def test_want_of_credentials_is_one_error_that_tells_the_reason_and_may_pass(reason: str) -> None:
    told = translated(REASONS[reason], TABLE, "DynamoDB")
    assert type(told) is ConfigurationError
    assert reason in str(told)
    assert may_pass(told)


def test_a_process_that_gives_credentials_tells_its_reason_and_a_stale_value_is_served(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper, count = tmp_path / "helper.py", tmp_path / "count"
    helper.write_text(
        "import datetime, json, pathlib, sys\n"
        f"count = pathlib.Path({str(count)!r})\n"
        "if count.exists(): sys.exit('vault: permission denied for payroll')\n"
        "soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=5)\n"
        "print(json.dumps(dict(Version=1, AccessKeyId='K', SecretAccessKey='s', Expiration=soon.isoformat())))\n"
    )
    config.write_text(f"[default]\nregion = us-east-1\ncredential_process = {sys.executable} {helper}\n")
    item = {"PK": {"S": "YEAR#2026"}, "SK": {"S": "LIMITS"}, "year": {"N": "2026"}, "max_401k": {"N": "24500"}}
    body = json.dumps({"Responses": {"bluestar-irs-limits": [item]}, "UnprocessedKeys": {}}).encode()
    with playing((200, body, {})) as player:
        options: dict[str, Any] = {"persistence_mode": "dynamo", "dynamodb_endpoint_url": player.url}
        clock = FrozenClock()
        with Store.open(Settings(**options, cache_stale_if_error_seconds=3600), clock=clock) as store:
            assert not store.irs_limits.get(2026).stale
            count.touch()
            clock.advance(400)
            assert store.irs_limits.get(2026).stale
            with pytest.raises(ConfigurationError, match="vault: permission denied for payroll"):
                store.irs_limits.get(2026, fresh=True)
        with Store.open(Settings(**options)) as store, pytest.raises(ConfigurationError, match="permission denied"):
            store.irs_limits.get(2026)


KEYS = "region = us-east-1\naws_access_key_id = a\naws_secret_access_key = b\n"


def test_a_first_call_whose_credentials_fail_tells_why_and_the_next_one_is_direct(config: Path, tmp_path: Path) -> None:
    old = {"Version": 1, "AccessKeyId": "K", "SecretAccessKey": "s", "Expiration": "2020-01-01T00:00:00Z"}
    (tmp_path / "old.json").write_text(json.dumps(old))
    reasons = {
        f"credential_process = cat {tmp_path}/old.json": "are still expired",
        f"web_identity_token_file = {tmp_path}/none\nrole_arn = arn:aws:iam::111122223333:role/payroll": "No such file",
    }
    for source, reason in reasons.items():
        config.write_text(f"[default]\n{KEYS}")
        with playing((200, FOUND, {})) as player:
            engine = DynamoEngine(connection_to(player.url), indexes=())
            config.write_text(f"[default]\nregion = us-east-1\n{source}\n")
            with warnings.catch_warnings(action="error"), pytest.raises(ConfigurationError, match=reason) as raised:
                found(engine)
            assert may_pass(raised.value)
            config.write_text(f"[default]\n{KEYS}")
            assert found(engine) == [KEY]
            assert player.ways == ["direct"]
            engine.close()


def test_credentials_that_fail_are_told_alike_on_botocores_way(config: Path, tmp_path: Path) -> None:
    config.write_text(f"[default]\n{KEYS}")
    with playing((200, FOUND, {})) as player:
        client = player.engine.connection._made().client
        client.meta.events.register("after-call", lambda **_: None)
        failing = patch.object(Credentials, "get_frozen_credentials", side_effect=RuntimeError("still expired"))
        with failing, pytest.raises(ConfigurationError, match="still expired"):
            found(player.engine)
        assert player.asked == []


@pytest.mark.parametrize(
    "line",
    [
        "retry_mode = often",
        "defaults_mode = often",
        "sts_regional_endpoints = often",
        "endpoint_discovery_enabled = often",
    ],
)
def test_a_value_of_awss_configuration_that_is_none_is_a_configuration_error(line: str, config: Path) -> None:
    config.write_text(f"[default]\n{KEYS}{line}\n")
    connection = connection_of(Settings())
    with pytest.raises(ConfigurationError, match=r"often.*AWS's variables or configuration files"):
        connection._made()
    connection.close()


@pytest.mark.parametrize("way", ["direct", "botocore"])
def test_a_server_that_refuses_to_be_connected_to_is_no_timeout_on_each_way(way: str, pauses: list[float]) -> None:
    engine = DynamoEngine(connection_to(f"http://127.0.0.1:{free_port()}", max_attempts=2), indexes=())
    if way == "botocore":
        engine.connection._made().client.meta.events.register("after-call", lambda **_: None)
    with pytest.raises(UnavailableError, match="EndpointConnectionError"):
        found(engine)
    assert len(pauses) == 1
    engine.close()


def test_a_certificate_that_is_not_trusted_is_called_that() -> None:
    told = translated(SSLError(endpoint_url="https://x", error="certificate verify failed"), TABLE, "DynamoDB")
    assert type(told) is UnavailableError
    assert "certificate that is not trusted" in str(told)
    assert "AWS_CA_BUNDLE" in str(told)
