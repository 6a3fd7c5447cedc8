"""The suites of rules and of batches on every engine, and what only DynamoDB can show."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bluestar_store import PipelineStep, Settings, Store
from bluestar_store.engines.file.engine import FileEngine
from bluestar_store.errors import (
    ConfigurationError,
    InvalidWriteError,
    PipelineChangingError,
    TableMissingError,
    UnavailableError,
)
from bluestar_store.persistence import DynamoDBRulesStore, EngineRulesStore, MemoryRulesStore
from bluestar_store.persistence.rules import tables_with
from bluestar_store.persistence.values import plain_item, wire_item
from bluestar_store.protocols import Item
from bluestar_store.settings import TableLayout
from tests.engines.doors import ClientDoor, MemoryDoor
from tests.engines.shared_tables import SharedTables
from tests.persistence.batch_suite import BatchSuite
from tests.persistence.rules_suite import Put, RulesSuite, item


def putting(tables: SharedTables) -> Put:
    """Into the eight tables, with a boto client of its own."""
    door = ClientDoor(tables.connection.connection.client)
    suffix = tables.suffix(TableLayout.PER_TABLE)
    return lambda table, wire: door.put(f"bluestar-{table}{suffix}", wire)


class TestMemory(RulesSuite, BatchSuite):
    @pytest.fixture
    def store(self) -> MemoryRulesStore:
        return MemoryRulesStore()

    @pytest.fixture
    def put(self, store: MemoryRulesStore) -> Put:
        engine: Any = store.sessions.current().engine
        return lambda table, wire: MemoryDoor(engine).put(f"bluestar-{table}", wire)


class TestFile(RulesSuite, BatchSuite):
    every_rule = False

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[EngineRulesStore]:
        engine, tables = FileEngine(tmp_path / "store"), tables_with("")
        engine.create_tables(tables.specs())
        with EngineRulesStore(engine, tables) as store:
            yield store

    @pytest.fixture
    def put(self, tmp_path: Path) -> Put:
        """Another process, as it were."""

        def put(table: str, wire: Item) -> None:
            other = FileEngine(tmp_path / "store")
            other.put_many(f"bluestar-{table}", [wire])
            other.close()

        return put


@pytest.mark.slow
class TestMoto(RulesSuite, BatchSuite):
    every_rule = False

    @pytest.fixture
    def store(self, shared_moto_tables: SharedTables) -> Iterator[DynamoDBRulesStore]:
        with DynamoDBRulesStore(shared_moto_tables.emptied(TableLayout.PER_TABLE)) as store:
            yield store

    @pytest.fixture
    def put(self, shared_moto_tables: SharedTables) -> Put:
        return putting(shared_moto_tables)


class TestDynamoDBLocal(RulesSuite, BatchSuite):
    every_rule = False

    @pytest.fixture
    def store(self, shared_tables: SharedTables, dynamodb_local_url: str) -> Iterator[DynamoDBRulesStore]:
        suffix = shared_tables.emptied(TableLayout.PER_TABLE)
        with DynamoDBRulesStore(table_suffix=suffix, endpoint_url=dynamodb_local_url) as store:
            yield store

    @pytest.fixture
    def put(self, shared_tables: SharedTables) -> Put:
        return putting(shared_tables)

    @pytest.mark.every_engine
    def test_tables_without_the_librarys_indexes_are_read_all_the_same(
        self, local_ddb: Any, suffix: str, dynamodb_local_url: str
    ) -> None:
        name = f"bluestar-processing-pipeline-bare{suffix}"
        table = local_ddb.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}],
            AttributeDefinitions=[
                {"AttributeName": "PK", "AttributeType": "S"},
                {"AttributeName": "SK", "AttributeType": "S"},
            ],
        )
        table.put_item(Item={"PK": "CLIENT#ACME_Weekly", "SK": "STEP#100", "stepOrder": 100})
        with DynamoDBRulesStore(f"-bare{suffix}", endpoint_url=dynamodb_local_url) as store:
            assert [step["SK"] for step in store.get_pipeline("ACME")] == ["STEP#100"]
        table.delete()


@pytest.mark.parametrize("missing", [("vendor-schema-mapping",), ("vendor-schema-mapping", "validation-rules")])
def test_a_missing_table_has_no_vendor_schemas(moto_tables: Any, suffix: str, missing: tuple[str, ...]) -> None:
    old = {"PK": "VENDOR#ADP_ACME_Weekly", "SK": "SCHEMA"}
    moto_tables.Table(f"bluestar-validation-rules{suffix}").put_item(Item=old)
    for table in missing:
        moto_tables.Table(f"bluestar-{table}{suffix}").delete()
    with DynamoDBRulesStore(suffix) as store:
        assert store.get_vendor_schema("ADP", "ACME", "Weekly") == ({} if len(missing) == 2 else old)


def test_the_same_on_dynamodb_local(local_ddb: Any, suffix: str, dynamodb_local_url: str) -> None:
    with DynamoDBRulesStore(suffix, endpoint_url=dynamodb_local_url) as store:
        assert store.get_vendor_schema("ADP", "ACME", "Weekly") == {}


def test_any_other_missing_table_is_an_error_that_names_it(moto_ddb: Any, suffix: str) -> None:
    with DynamoDBRulesStore(suffix) as store:
        with pytest.raises(TableMissingError, match=f"bluestar-calculation-rules{suffix}"):
            store.get_calculation_rule("ACME", "match")
        with pytest.raises(TableMissingError, match=f"bluestar-processing-pipeline{suffix}"):
            store.get_pipeline_steps("ACME", "Weekly")


def test_a_server_that_does_not_answer_is_one_of_the_librarys_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLUESTAR_MAX_ATTEMPTS", "1")
    with (
        DynamoDBRulesStore(endpoint_url="http://127.0.0.1:9") as store,
        pytest.raises(UnavailableError, match=r"127\.0\.0\.1:9"),
    ):
        store.get_irs_limits(2026)


@pytest.mark.parametrize(
    "wrong", [{"table_suffix": "a b"}, {"region": "No Region"}, {"endpoint_url": "localhost:8000"}]
)
def test_what_cannot_be_right_is_a_configuration_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        DynamoDBRulesStore(**wrong)


def test_the_environment_does_not_change_which_tables_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLUESTAR_TABLE_PREFIX", "other-")
    monkeypatch.setenv("BLUESTAR_TABLE_LAYOUT", "single")
    monkeypatch.setenv("BLUESTAR_PERSISTENCE_MODE", "memory")
    expected = "DynamoDBRulesStore(DynamoDB in us-east-1, tables bluestar-*-dev)"
    assert repr(DynamoDBRulesStore("-dev")) == expected


STEPS = [PipelineStep(plan_id="ACME", pay_freq="Weekly", step_order=n, agent="IDP") for n in (200, 100)]


def typed_and_raw(suffix: str) -> tuple[Store, DynamoDBRulesStore]:
    return Store.open(Settings(table_suffix=suffix, aws_region="us-east-1")), DynamoDBRulesStore(suffix)


def test_steps_that_the_library_wrote_are_read_in_order(moto_tables: Any, suffix: str) -> None:
    typed, raw = typed_and_raw(suffix)
    typed.pipelines.replace("ACME", "Weekly", STEPS)
    steps = raw.get_pipeline_steps("ACME", "Weekly")
    assert [(step["stepOrder"], step["agent"], step["version"]) for step in steps] == [(100, "IDP", 1), (200, "IDP", 1)]
    assert raw.get_pipeline("ACME") == steps


def test_a_part_of_a_pipeline_that_the_library_wrote_is_refused(
    moto_tables: Any, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bluestar_store.repositories.pipelines.READ_ATTEMPTS", 1)
    typed, raw = typed_and_raw(suffix)
    typed.pipelines.replace("ACME", "Weekly", STEPS)
    table = moto_tables.Table(f"bluestar-processing-pipeline{suffix}")
    table.delete_item(Key={"PK": "CLIENT#ACME_Weekly", "SK": "STEP#0100"})
    with pytest.raises(PipelineChangingError):
        raw.get_pipeline_steps("ACME", "Weekly")


def test_steps_that_others_added_to_the_librarys_are_given_too(moto_tables: Any, suffix: str) -> None:
    typed, raw = typed_and_raw(suffix)
    typed.pipelines.replace("ACME", "Weekly", STEPS)
    table = moto_tables.Table(f"bluestar-processing-pipeline{suffix}")
    table.put_item(Item={"PK": "CLIENT#ACME_Weekly", "SK": "STEP#150", "stepOrder": 150, "agent": 7})
    assert [step["stepOrder"] for step in raw.get_pipeline_steps("ACME", "Weekly")] == [100, 150, 200]


def test_a_memory_store_is_filled_with_dicts() -> None:
    limits = {"PK": "YEAR#2026", "SK": "LIMITS", "rate": 6.5, "tiers": [{"pct": 0.1}], "ages": {50, 59.5}}
    store = MemoryRulesStore({"irs-limits": [limits]})
    assert store.get_irs_limits(2026) == limits
    store.put("irs-limits", {"PK": "YEAR#2027", "SK": "LIMITS"})
    assert store.get_irs_limits(2027) != {}


@pytest.mark.parametrize(
    "wrong", [{"PK": "A"}, {"PK": "A", "SK": "B", "x": object()}, {"PK": "A", "SK": "B", "x": float("nan")}]
)
def test_a_memory_store_refuses_what_is_no_item(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidWriteError):
        MemoryRulesStore({"irs-limits": [wrong]})


def test_a_memory_store_has_the_eight_tables_only() -> None:
    with pytest.raises(TableMissingError, match="bluestar-limits"):
        MemoryRulesStore({"limits": [{"PK": "A", "SK": "B"}]})


def test_plain_items_and_wire_items_are_each_others() -> None:
    wire = item(
        "A", "B", rate={"N": "0.1"}, whole={"N": "100"}, inner={"M": {"x": {"L": [{"N": "1.5"}, {"NULL": True}]}}}
    )
    assert wire_item(plain_item(wire)) == wire
