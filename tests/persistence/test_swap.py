"""An agent written against the Protocols runs unchanged on memory, on files and on moto, and on what is hand-made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import fakeredis
import pytest

from bluestar_store import Settings, Store
from bluestar_store.errors import FileMissingError, RuleNotFoundError
from bluestar_store.persistence import (
    EngineRulesStore,
    ICacheBackend,
    IFileStore,
    IRulesStore,
    ISQLClient,
    MemoryCacheBackend,
    SQLClient,
    create_persistence,
)
from bluestar_store.persistence.values import wire_item
from tests.persistence.test_file_stores import OldFiles
from tests.persistence.test_protocols import OldRules

ITEMS: dict[str, list[dict[str, Any]]] = {
    "calculation-rules": [{"PK": "CLIENT#GLOBAL", "SK": "CALC#match", "max_pct": 6}],
    "irs-limits": [{"PK": "YEAR#2026", "SK": "LIMITS", "max_401k": 24500}],
    "processing-pipeline": [
        {"PK": "CLIENT#ACME_Weekly", "SK": f"STEP#{order:04d}", "stepOrder": order, "agent": "IDP"}
        for order in (200, 100)
    ],
    "agent-config": [{"PK": "CLIENT#ACME_Weekly", "SK": "CONFIG", "custodian": "Fidelity"}],
}


def an_agent(rules: IRulesStore, cache: ICacheBackend, files: IFileStore) -> dict[str, Any]:
    """Takes in the payroll files of a plan, by its rules; leaves what it found, and knows what it has done."""
    report: dict[str, Any] = {"custodian": rules.get_client_config("ACME", "Weekly").get("custodian")}
    report["steps"] = [step["stepOrder"] for step in rules.get_pipeline_steps("ACME", "Weekly")]
    report["limit"] = rules.get_irs_limits(2026).get("max_401k")
    report["holds"] = rules.get_plan_holds("ACME")
    try:
        rules.get_calculation_rule("ACME", "vesting")
    except RuleNotFoundError:
        report["vesting"] = None
    match = rules.get_calculation_rule("ACME", "match")["max_pct"]
    for path in files.list_files("in/"):
        if cache.get(f"seen:{path}"):
            continue
        pay = sum(float(line.split(",")[1]) for line in files.read(path).decode().splitlines())
        report[files.write(path.replace("in/", "out/"), json.dumps(pay * match / 100))] = pay
        files.move(path, path.replace("in/", "done/"))
        cache.setex(f"seen:{path}", 60, "yes")
    report["files"] = files.list_files("")
    return report


EXPECTED = {
    "custodian": "Fidelity",
    "steps": [100, 200],
    "limit": 24500,
    "holds": [],
    "vesting": None,
    "out/hours.csv": 150.5,
    "files": ["done/hours.csv", "in/seen.csv", "out/hours.csv"],
}


def fill(rules: EngineRulesStore) -> None:
    tables = {spec.name.removeprefix("bluestar-"): spec.name for spec in rules.sessions.tables.specs()}
    for name, items in ITEMS.items():
        [table] = [full for short, full in tables.items() if short.startswith(name)]
        rules.sessions.current().engine.put_many(table, map(wire_item, items))


@pytest.fixture
def memory() -> Settings:
    return Settings(persistence_mode="memory")


@pytest.fixture
def file(tmp_path: Path) -> Settings:
    settings = Settings(
        persistence_mode="file", file_persistence_dir=tmp_path / "store", files_url=f"file://{tmp_path}/files"
    )
    with Store.open(settings) as store:
        store.create_tables()
    return settings


@pytest.fixture
def moto(moto_tables: Any, suffix: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="payroll-files")
    monkeypatch.setattr("bluestar_store.persistence.redis.Redis", fakeredis.FakeRedis)
    yield Settings(
        table_suffix=suffix, aws_region="us-east-1", files_url="s3://payroll-files", redis_url="redis://localhost:6379"
    )
    fakeredis.FakeRedis().flushall()


@pytest.fixture
def local(local_tables: Any, suffix: str, dynamodb_local_url: str, redis_url: str, tmp_path: Path) -> Settings:
    """DynamoDB Local and a real Redis."""
    return Settings(
        table_suffix=suffix,
        dynamodb_endpoint_url=dynamodb_local_url,
        redis_url=redis_url,
        redis_timeout_ms=2000,
        files_url=f"file://{tmp_path}/files",
    )


@pytest.mark.parametrize("target", ["memory", "file", "moto", "local"])
def test_an_agent_runs_unchanged_on_every_target(target: str, request: pytest.FixtureRequest) -> None:
    rules, cache, files = create_persistence(request.getfixturevalue(target))
    with rules:
        fill(rules)
        if cache is None:
            cache = MemoryCacheBackend()
        for path in ("in/hours.csv", "in/seen.csv"):
            files.write(path, "7,100.25\n8,50.25\n", "text/csv")
        cache.setex("seen:in/seen.csv", 60, "yes")
        try:
            assert an_agent(rules, cache, files) == EXPECTED
            assert json.loads(files.read("out/hours.csv")) == 9.03
            with pytest.raises(FileMissingError):
                files.read("in/hours.csv")
        finally:
            cache.delete("seen:in/seen.csv")
            cache.delete("seen:in/hours.csv")
            cache.delete("calc_rule:ACME:match")


def test_it_runs_on_hand_made_implementations_too() -> None:
    assert an_agent(OldRules(), MemoryCacheBackend(), OldFiles())["custodian"] is None


def a_sql_agent(sql: ISQLClient) -> list[dict[str, Any]]:
    """Books a batch, whole or not at all."""
    sql.execute("CREATE TABLE payroll_booking (plan_id VARCHAR(20), amount NUMERIC(12, 2), UNIQUE (plan_id, amount))")
    try:
        with sql.transaction():
            rows = [{"plan": "ACME", "amount": "10.10"}, {"plan": "ACME", "amount": "20.20"}]
            sql.execute("INSERT INTO payroll_booking VALUES (:plan, :amount)", rows)
        return sql.fetch_all("SELECT plan_id, SUM(amount) AS total FROM payroll_booking GROUP BY plan_id")
    finally:
        sql.execute("DROP TABLE payroll_booking")


def test_a_sql_agent_runs_unchanged_on_every_database(postgres_url: str, tmp_path: Path) -> None:
    found = []
    for url in ("sqlite://", f"sqlite:///{tmp_path}/x.db", postgres_url):
        with SQLClient(url) as client:
            found += a_sql_agent(client)
    assert [(row["plan_id"], str(row["total"])) for row in found] == [
        ("ACME", "30.3"),
        ("ACME", "30.3"),
        ("ACME", "30.30"),
    ]
