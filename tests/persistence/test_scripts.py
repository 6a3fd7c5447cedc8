"""Old seed scripts: tables and data through a boto3 resource."""

from __future__ import annotations

from typing import Any

import pytest

from bluestar_store import Settings, Store, TableMissingError, Trail, seeding
from bluestar_store.errors import UnavailableError
from bluestar_store.persistence import TABLE_DEFINITIONS, DynamoDBRulesStore, create_tables, seed_pipeline_data
from bluestar_store.rulesets.comparing import Action
from bluestar_store.rulesets.loading import LOADS


def items(ddb: Any, name: str, suffix: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ddb.Table(f"bluestar-{name}{suffix}").scan()["Items"]
    return found


NAMES = {
    "processing-pipeline",
    "validation-rules",
    "calculation-rules",
    "irs-limits",
    "agent-config",
    "vendor-schema-mapping",
    "batch-state",
    "processing-metadata",
}


class ScriptSuite:
    """Subclasses give `ddb`, a resource without tables, and `store_options`, what leads there."""

    def test_there_are_eight_tables(self, ddb: Any, suffix: str) -> None:
        wanted = [f"bluestar-{name}{suffix}" for name in NAMES]
        assert sorted(create_tables(ddb, suffix)) == sorted(wanted)
        assert set(wanted) <= {table.name for table in ddb.tables.all()}
        assert create_tables(ddb, suffix) == []

    def test_the_data_is_what_old_scripts_put(self, ddb: Any, suffix: str) -> None:
        create_tables(ddb, suffix)
        count = seed_pipeline_data(ddb, suffix)
        steps = items(ddb, "processing-pipeline", suffix)
        assert len(steps) == 26
        assert {step["PK"] for step in steps} == {"CLIENT#DEFAULT_BiWeeklyFri"}
        assert {rule["PK"] for rule in items(ddb, "calculation-rules", suffix)} == {"CLIENT#GLOBAL"}
        everything = [items(ddb, name, suffix) for name in NAMES - {"processing-metadata"}]  # which has the trails
        assert sum(map(len, everything)) == count
        assert items(ddb, "validation-rules", suffix)
        assert items(ddb, "irs-limits", suffix)

    def test_the_data_is_readable_raw_and_typed(self, ddb: Any, suffix: str, store_options: dict[str, Any]) -> None:
        create_tables(ddb, suffix)
        seed_pipeline_data(ddb, suffix)
        with DynamoDBRulesStore(suffix, endpoint_url=store_options.get("dynamodb_endpoint_url")) as raw:
            orders = [step["stepOrder"] for step in raw.get_pipeline_steps("DEFAULT", "BiWeeklyFri")]
            assert orders == sorted(orders)
            assert len(orders) == 26
            assert raw.get_calculation_rule("ACME", "match")["max_pct"] == 6
            assert raw.get_irs_limits(2026)["max_401k"] == 24500
            assert raw.get_validation_rules("SSN")
            assert raw.get_client_validation_rules("ACME", "ssn")
        with Store.open(Settings(table_suffix=suffix, aws_region="us-east-1", **store_options)) as typed:
            assert len(typed.pipelines.steps("ACME", "BiWeeklyFri")) == 26
            ours = {
                entry.action for entry in seeding.compare(typed, seeding.baseline()).entries if entry.level == "GLOBAL"
            }
            assert ours == {Action.SAME}

    def test_seeding_again_changes_nothing_that_is_there(self, ddb: Any, suffix: str) -> None:
        create_tables(ddb, suffix)
        own = {"PK": "CLIENT#GLOBAL", "SK": "CALC#match", "max_pct": 4, "note": "ours"}
        ddb.Table(f"bluestar-calculation-rules{suffix}").put_item(Item=own)
        ddb.Table(f"bluestar-processing-pipeline{suffix}").put_item(
            Item={"PK": "CLIENT#DEFAULT_BiWeeklyFri", "SK": "STEP#0100", "stepOrder": 100}
        )
        assert seed_pipeline_data(ddb, suffix) > 0
        assert seed_pipeline_data(ddb, suffix) == 0
        assert own in items(ddb, "calculation-rules", suffix)
        assert len(items(ddb, "processing-pipeline", suffix)) == 1

    def test_what_is_put_leaves_one_entry_as_a_load_does(
        self, ddb: Any, suffix: str, store_options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("BLUESTAR_ACTOR", "pat")
        create_tables(ddb, suffix)
        count = seed_pipeline_data(ddb, suffix)
        assert seed_pipeline_data(ddb, suffix) == 0  # which is no load
        with Store.open(Settings(table_suffix=suffix, aws_region="us-east-1", **store_options)) as store:
            (entry,) = store.audit.entries(LOADS)
            assert (entry.actor, entry.action, store.audit.verify(LOADS)) == ("pat", "load", ())
            assert entry.details is not None
            assert (entry.details["entities"], entry.details["writes"]) == (count, {"add": count})
            assert len(entry.details["rule_set"]) == 64
            assert store.audit.entries(Trail(table="irs-limits", partition="YEAR#2026")) == ()

    def test_another_programs_binary_attributes_are_in_nobodys_way(self, ddb: Any, suffix: str) -> None:
        create_tables(ddb, suffix)
        theirs = {"PK": "YEAR#2026", "SK": "LIMITS", "seal": b"\x00\xff", "seals": {b"a"}, "tags": {"x"}}
        table = ddb.Table(f"bluestar-irs-limits{suffix}")
        table.put_item(Item=theirs)
        seed_pipeline_data(ddb, suffix)
        assert table.get_item(Key={"PK": "YEAR#2026", "SK": "LIMITS"})["Item"] == theirs

    def test_without_tables_it_is_an_error_that_names_one(self, ddb: Any, suffix: str) -> None:
        with pytest.raises(TableMissingError, match=suffix):
            seed_pipeline_data(ddb, suffix)


@pytest.mark.slow
class TestMoto(ScriptSuite):
    @pytest.fixture
    def ddb(self, moto_ddb: Any) -> Any:
        return moto_ddb

    @pytest.fixture
    def store_options(self) -> dict[str, Any]:
        return {}


class TestDynamoDBLocal(ScriptSuite):
    @pytest.fixture
    def ddb(self, local_ddb: Any) -> Any:
        return local_ddb

    @pytest.fixture
    def store_options(self, dynamodb_local_url: str) -> dict[str, Any]:
        return {"dynamodb_endpoint_url": dynamodb_local_url}


def test_the_definitions_are_eight_with_string_keys_on_demand() -> None:
    assert {definition["TableName"] for definition in TABLE_DEFINITIONS} == {f"bluestar-{name}" for name in NAMES}
    for definition in TABLE_DEFINITIONS:
        assert [key["AttributeName"] for key in definition["KeySchema"]] == ["PK", "SK"]
        assert definition["BillingMode"] == "PAY_PER_REQUEST"


def test_a_server_that_does_not_answer_is_one_of_the_librarys_errors() -> None:
    import boto3
    from botocore.config import Config

    nowhere = boto3.resource(
        "dynamodb",
        region_name="us-east-1",
        endpoint_url="http://127.0.0.1:9",
        config=Config(retries={"total_max_attempts": 1}),
    )
    with pytest.raises(UnavailableError):
        create_tables(nowhere)
