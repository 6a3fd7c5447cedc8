"""create_persistence: what each kind of settings, and each mode, leads to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import fakeredis
import pytest
from pydantic import AnyHttpUrl, BaseModel, SecretStr
from pydantic_settings import BaseSettings

from bluestar_store import Settings, Store
from bluestar_store.errors import ConfigurationError
from bluestar_store.files.local import LocalFileStore
from bluestar_store.persistence import (
    DynamoDBRulesStore,
    EngineRulesStore,
    ICacheBackend,
    IFileStore,
    IRulesStore,
    MemoryCacheBackend,
    MemoryFileStore,
    MemoryRulesStore,
    RedisCacheBackend,
    S3FileStore,
    create_persistence,
)

REDIS = {"host": "cache.local", "port": 6380, "db": 2}
DYNAMODB = {"table_suffix": "-test", "region": "eu-west-1", "endpoint_url": "http://127.0.0.1:8000"}
S3 = {"bucket": "payroll-files", "region": "eu-central-1", "endpoint_url": "http://127.0.0.1:9000"}
SECTIONS: dict[str, dict[str, Any]] = {"redis": REDIS, "dynamodb": DYNAMODB, "s3": S3}


@dataclass
class Redis:
    host: str = "cache.local"
    port: int = 6380
    db: int = 2


@dataclass
class DynamoDB:
    table_suffix: str = "-test"
    region: str = "eu-west-1"
    endpoint_url: str | None = "http://127.0.0.1:8000"


class S3Bucket(BaseModel):
    bucket: SecretStr = SecretStr("payroll-files")
    region: str = "eu-central-1"
    endpoint_url: AnyHttpUrl | str = "http://127.0.0.1:9000"


@dataclass
class Dataclasses:
    redis: Redis = field(default_factory=Redis)
    dynamodb: DynamoDB = field(default_factory=DynamoDB)
    s3: S3Bucket = field(default_factory=S3Bucket)


class Theirs(BaseSettings):
    redis: Redis = Redis()
    dynamodb: DynamoDB = DynamoDB()
    s3: S3Bucket = S3Bucket()


class WithProperties:
    @property
    def redis(self) -> dict[str, Any]:
        return REDIS | {"port": "6380"}

    dynamodb, s3 = DYNAMODB, S3


def mocked() -> Any:
    settings = MagicMock()
    for section, values in SECTIONS.items():
        for name, value in values.items():
            setattr(getattr(settings, section), name, value)
    return settings


SHAPES: dict[str, Callable[[], object]] = {
    "namespaces": lambda: SimpleNamespace(**{k: SimpleNamespace(**v) for k, v in SECTIONS.items()}),
    "dataclasses": Dataclasses,
    "pydantic settings": Theirs,
    "dicts": lambda: SECTIONS,
    "properties": WithProperties,
    "a mock": mocked,
}


def address_of(cache: ICacheBackend | None) -> dict[str, Any]:
    assert isinstance(cache, RedisCacheBackend)
    return {name: cache._client.connection_pool.connection_kwargs[name] for name in ("host", "port", "db")}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_an_object_of_the_old_shape_is_followed(shape: Callable[[], object]) -> None:
    rules, cache, files = create_persistence(shape())
    assert isinstance(rules, DynamoDBRulesStore)
    assert repr(rules) == "DynamoDBRulesStore(DynamoDB at http://127.0.0.1:8000, tables bluestar-*-test)"
    assert address_of(cache) == REDIS
    assert isinstance(files, S3FileStore)
    assert files.bucket == "payroll-files"
    assert files._calls._region == "eu-central-1"
    assert files._calls._endpoint_url == "http://127.0.0.1:9000"


class Region(StrEnum):
    IRELAND = "eu-west-1"


@pytest.mark.parametrize("nothing", [None, MagicMock(), SimpleNamespace(), {}], ids=["None", "mock", "empty", "dict"])
@pytest.mark.parametrize("missing", ["redis", "dynamodb", "s3"])
def test_a_section_that_is_missing_is_taken_from_the_environment(
    nothing: Any, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLUESTAR_REDIS_URL", "redis://other:6379/5")
    monkeypatch.setenv("BLUESTAR_TABLE_SUFFIX", "-env")
    monkeypatch.setenv("BLUESTAR_FILES_URL", "s3://other-files")
    rules, cache, files = create_persistence(SimpleNamespace(**SECTIONS | {missing: nothing}))
    assert isinstance(files, S3FileStore)
    assert ("-env" in repr(rules)) is (missing == "dynamodb")
    assert files.bucket == ("other-files" if missing == "s3" else "payroll-files")
    if missing != "redis":
        assert address_of(cache) == REDIS
    elif nothing is None or isinstance(nothing, MagicMock):
        assert address_of(cache) == {"host": "other", "port": 6379, "db": 5}
    else:  # a section that has no host has the host that RedisCacheBackend has
        assert address_of(cache)["host"] == "localhost"


def test_attributes_that_are_missing_or_none_are_their_defaults() -> None:
    settings = SimpleNamespace(
        redis=SimpleNamespace(port=None),
        dynamodb=SimpleNamespace(region=Region.IRELAND, endpoint_url=""),
        s3=SimpleNamespace(bucket="b", region=None),
    )
    rules, cache, files = create_persistence(settings)
    assert repr(rules) == "DynamoDBRulesStore(DynamoDB in eu-west-1, tables bluestar-*)"
    assert address_of(cache) == {"host": "localhost", "port": 6379, "db": 0}
    assert isinstance(files, S3FileStore)
    assert files._calls._region == "eu-west-1"
    assert files._calls._endpoint_url is None


def test_a_region_that_is_nowhere_is_that_of_the_old_constructors(monkeypatch: pytest.MonkeyPatch) -> None:
    old = {"s3": {"bucket": "b"}}
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert "DynamoDB in eu-west-1" in repr(create_persistence(old)[0])
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    rules, _, files = create_persistence(old)
    assert "DynamoDB in us-east-1" in repr(rules)
    assert isinstance(files, S3FileStore)
    assert files._calls._region == "us-east-1"
    monkeypatch.setenv("AWS_PROFILE", "nosuch")
    with pytest.raises(ConfigurationError, match="nosuch"):
        create_persistence(old)[0].get_irs_limits(2026)


def test_a_host_that_is_none_is_no_redis() -> None:
    _, cache, _ = create_persistence({"redis": {"host": None, "port": 6379, "db": 0}})
    assert cache is None


def test_an_empty_suffix_is_one_that_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLUESTAR_TABLE_SUFFIX", "-env")
    rules, _, _ = create_persistence({"dynamodb": {"table_suffix": ""}})
    assert "-env" not in repr(rules)


class Raising:
    @property
    def redis(self) -> Any:
        raise RuntimeError("hunter2")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("dynamo", "not str"),
        (5, "not int"),
        (["redis"], "not list"),
        ({"redis": {"host": ["hunter2"]}}, r"settings\.redis\.host has to be text, not list"),
        ({"redis": {"host": "x", "port": "hunter2"}}, r"settings\.redis\.port has to be a whole number"),
        ({"redis": {"host": "x", "db": True}}, r"settings\.redis\.db has to be a whole number"),
        ({"s3": {"bucket": 5}}, r"settings\.s3\.bucket has to be text"),
        ({"redis": "redis://localhost"}, r"settings\.redis"),
        ({"dynamodb": {"region": "No Region"}}, "BLUESTAR_AWS_REGION"),
        ({"dynamodb": {"table_suffix": "a b"}}, "BLUESTAR_TABLE_SUFFIX"),
        ({"s3": {"bucket": "b", "endpoint_url": "http://user:hunter2@host"}}, "credentials"),
        (Raising(), r"settings\.redis cannot be read \(RuntimeError\)"),
    ],
)
def test_what_is_of_no_use_is_a_configuration_error_that_names_it(wrong: object, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told) as raised:
        create_persistence(wrong)
    assert "hunter2" not in str(raised.value)


def test_memory_is_memory_throughout() -> None:
    rules, cache, files = create_persistence(Settings(persistence_mode="memory"))
    assert isinstance(rules, MemoryRulesStore)
    assert isinstance(cache, MemoryCacheBackend)
    assert isinstance(files, MemoryFileStore)


def test_the_rules_store_uses_the_cache_that_is_given_with_it() -> None:
    rules, cache, _ = create_persistence(Settings(persistence_mode="memory"))
    assert isinstance(rules, MemoryRulesStore)
    assert cache is not None
    rules.put("calculation-rules", {"PK": "CLIENT#GLOBAL", "SK": "CALC#match", "max_pct": 6})
    rules.get_calculation_rule("ACME", "match")
    assert "6" in (cache.get("calc_rule:ACME:match") or "")


@pytest.mark.parametrize("settings", [None, SECTIONS], ids=["environment", "old shape"])
def test_the_environments_mode_keeps_an_old_object_from_its_servers(
    settings: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PERSISTENCE_MODE", "memory")
    rules, cache, files = create_persistence(settings)
    assert isinstance(rules, MemoryRulesStore)
    assert isinstance(cache, MemoryCacheBackend)
    assert isinstance(files, MemoryFileStore)
    monkeypatch.setenv("PERSISTENCE_MODE", "file")
    monkeypatch.setenv("FILE_PERSISTENCE_DIR", str(tmp_path / "store"))
    monkeypatch.setenv("BLUESTAR_FILES_URL", f"file://{tmp_path}/files")
    rules, cache, files = create_persistence(settings)
    assert isinstance(files, LocalFileStore)
    assert cache is None
    with Store.open(Settings(table_suffix="-test" if settings else "")) as typed:
        typed.create_tables()
    with rules:
        assert rules.get_irs_limits(2026) == {}


@pytest.mark.parametrize("mode", ["dynamo", "file"])
def test_without_a_place_for_files_none_is_lost_in_silence(mode: str, tmp_path: Path) -> None:
    _, _, files = create_persistence(Settings(persistence_mode=mode, file_persistence_dir=tmp_path / "store"))
    assert isinstance(files, IFileStore)
    calls: list[Callable[[], object]] = [
        lambda: files.read("a"),
        lambda: files.write("a", "x"),
        lambda: files.move("a", "b"),
        lambda: files.list_files(""),
    ]
    for call in calls:
        with pytest.raises(ConfigurationError, match="BLUESTAR_FILES_URL"):
            call()


def test_a_files_url_counts_in_every_mode(tmp_path: Path) -> None:
    url = f"file://{tmp_path}/files"
    for mode in ("memory", "dynamo"):
        _, _, files = create_persistence(Settings(persistence_mode=mode, files_url=url))
        assert isinstance(files, LocalFileStore)


def test_a_redis_url_is_followed_with_all_that_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLUESTAR_REDIS_URL", "redis://user:hunter2@cache.local:6380/2")
    _, cache, _ = create_persistence()
    assert address_of(cache) == REDIS
    assert isinstance(cache, RedisCacheBackend)
    options = cache._client.connection_pool.connection_kwargs
    assert (options["username"], options["password"], options["socket_timeout"]) == ("user", "hunter2", 0.05)
    assert "hunter2" not in repr(cache)


def test_a_redis_url_that_cannot_be_read_is_an_error_without_it() -> None:
    with pytest.raises(ConfigurationError, match="BLUESTAR_REDIS_URL") as raised:
        create_persistence(Settings(redis_url="redis://user:hunter2@host:port/0"))
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("mode", ["cluster", "sentinel"])
def test_a_redis_of_several_servers_is_refused(mode: str) -> None:
    with pytest.raises(ConfigurationError, match=mode):
        create_persistence(Settings(redis_url="redis://a:6379", redis_mode=mode, redis_sentinel_service="master"))


def test_without_redis_there_is_no_cache() -> None:
    _, cache, _ = create_persistence(Settings())
    assert cache is None


def test_file_mode_without_a_folder_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="BLUESTAR_FILE_PERSISTENCE_DIR"):
        create_persistence(Settings(persistence_mode="file"))


def test_tables_of_any_prefix_and_layout_are_read(tmp_path: Path) -> None:
    settings = Settings(
        persistence_mode="file",
        file_persistence_dir=tmp_path,
        table_prefix="other-",
        table_suffix="-x",
        table_layout="single",
    )
    with Store.open(settings) as typed:
        typed.create_tables()
    rules, _, _ = create_persistence(settings)
    with rules:
        assert isinstance(rules, EngineRulesStore)
        assert rules.get_pipeline("ACME") == []
    rules, _, _ = create_persistence(Settings(table_prefix="other-", table_suffix="-x", aws_region="us-east-1"))
    assert repr(rules) == "DynamoDBRulesStore(DynamoDB in us-east-1, tables other-*-x)"


def test_the_three_parts_work_on_moto_and_fakeredis(
    moto_tables: Any, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import boto3

    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="payroll-files")
    monkeypatch.setattr("bluestar_store.persistence.redis.Redis", fakeredis.FakeRedis)
    moto_tables.Table(f"bluestar-calculation-rules{suffix}").put_item(
        Item={"PK": "CLIENT#GLOBAL", "SK": "CALC#match", "max_pct": 6}
    )
    settings = SimpleNamespace(
        redis=SimpleNamespace(host="localhost", port=6379, db=0),
        dynamodb=SimpleNamespace(table_suffix=suffix, region="us-east-1", endpoint_url=None),
        s3=SimpleNamespace(bucket="payroll-files", region="us-east-1", endpoint_url=None),
    )
    rules, cache, files = create_persistence(settings)
    assert isinstance(rules, IRulesStore)
    assert cache is not None
    assert rules.get_calculation_rule("ACME", "match")["max_pct"] == 6
    assert cache.get("calc_rule:ACME:match") is not None
    assert files.write("a.txt", "x") == "a.txt"
    assert files.list_files("") == ["a.txt"]
