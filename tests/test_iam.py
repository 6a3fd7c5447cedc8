"""IAM policies: each role may make the calls that its work needs, on our tables, and no others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from bluestar_store import BatchState, CalculationRule, PipelineStep, PlanHold, Settings, Store, TableLayout, seeding
from bluestar_store.doctor import examine
from bluestar_store.engines.dynamo.connection import AwsConnection
from bluestar_store.iam import ACTIONS, OLDER_TABLES, Role, policy
from bluestar_store.models.calculation import CalculationRuleModel
from bluestar_store.models.tables import Tables
from bluestar_store.protocols import TableSpec
from bluestar_store.transfer import migrate, take_over
from tests.cli.conftest import Run, run

__all__ = ["run"]

EIGHT = Tables("bluestar-", "-dev", TableLayout.PER_TABLE)


def allowed(found: dict[str, Any]) -> dict[str, set[str]]:
    """The resources of each action."""
    actions: dict[str, set[str]] = {}
    for statement in found["Statement"]:
        assert statement["Effect"] == "Allow"
        for action in statement["Action"]:
            actions.setdefault(action.removeprefix("dynamodb:"), set()).update(statement["Resource"])
    return actions


@contextmanager
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """The IAM actions that the calls made inside need."""
    needed: set[str] = set()
    call = AwsConnection.call

    def listening(self: AwsConnection, operation: str, table: str, **arguments: Any) -> dict[str, Any]:
        if operation == "transact_write_items":
            kinds = {"ConditionCheck": "ConditionCheckItem", "Put": "PutItem", "Update": "UpdateItem"}
            needed.update(kinds.get(kind, "DeleteItem") for item in arguments["TransactItems"] for kind in item)
        else:
            needed.update(ACTIONS[operation])
        return call(self, operation, table, **arguments)

    with monkeypatch.context() as patch:
        patch.setattr(AwsConnection, "call", listening)
        yield needed


def test_each_role_covers_the_calls_that_its_work_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(aws_region="us-east-1", table_suffix="-dev")
    roles = {role: set(allowed(policy(EIGHT, role))) for role in Role}
    with mock_aws(), Store.open(settings) as store:
        with calls(monkeypatch) as operated:
            store.create_tables(upgrade=True)
            seeding.load(store, seeding.baseline())
            store.engine.put_many("bluestar-irs-limits-dev", [{"PK": {"S": "NOTE"}, "SK": {"S": "1"}}])
        with calls(monkeypatch) as written:
            rule = store.calculation_rules.put(CalculationRule(plan_id="ACME", calc_type="match"))
            store.calculation_rules.put(rule.model_copy(update={"formula": "x"}))
            store.calculation_rules.delete(CalculationRule(plan_id="ACME", calc_type="match"))
            store.calculation_rules.delete(CalculationRule(plan_id="ACME", calc_type="match"))
            store.pipelines.replace("ACME", "Weekly", [PipelineStep(plan_id="ACME", pay_freq="Weekly", step_order=1)])
            store.pipelines.remove("ACME", "Weekly")
            store.batches.put(BatchState(batch_id="b", plan_id="ACME"))
            store.holds.put(PlanHold(plan_id="ACME", hold_id="h"))
        with calls(monkeypatch) as read:
            store.plan_snapshot("ACME", "Weekly", 2026)
            store.plans(), store.overrides("ACME"), store.describe_tables()
            store.holds.all_open(), store.batches.for_plan("ACME"), store.irs_limits.all()
            assert list(store.bind(CalculationRuleModel).scan())
            examine(store, writes=False)
    assert read <= roles[Role.READER]
    assert written <= roles[Role.WRITER]
    assert operated <= roles[Role.OPERATOR]
    # And nothing is allowed that nobody needs.
    assert roles[Role.READER] == read
    assert roles[Role.WRITER] == read | written
    assert roles[Role.OPERATOR] == read | written | operated | {"UpdateTable"}  # the tables had their indexes


@pytest.mark.parametrize("layout", list(TableLayout))
@pytest.mark.parametrize("role", list(Role))
def test_resources_are_our_tables_and_their_indexes(role: Role, layout: TableLayout) -> None:
    tables = Tables("bluestar-", "-production-us", layout)
    found = policy(tables, role, region="eu-west-1", account="123456789012", partition="aws-cn")
    arn = "arn:aws-cn:dynamodb:eu-west-1:123456789012:table/"
    layouts = list(TableLayout) if role is Role.OPERATOR else [layout]
    specs = [spec for one in layouts for spec in replace(tables, layout=one).specs()]
    own = {arn + spec.name for spec in specs}
    indexes = {f"{arn}{spec.name}/index/{index.name}" for spec in specs for index in spec.indexes}
    for action, resources in allowed(found).items():
        older = resources - own - indexes
        assert resources - older == (own | indexes if action == "Query" else own)
        assert bool(older) is (role is Role.OPERATOR and action in ("Scan", "DescribeTable"))
        assert older <= {f"{arn}bluestar-processing-results", f"{arn}bluestar-audit-log"}
    assert "*" not in json.dumps(found)
    assert len(json.dumps(found, separators=(",", ":"))) < 6144  # AWS limit of a managed policy


def test_the_operator_may_migrate_a_layout_and_take_over_older_tables(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The calls and the tables that both commands touch, as they are on an engine that speaks to AWS."""
    touched: set[tuple[str, str]] = set()
    call = AwsConnection.call

    def listening(self: AwsConnection, operation: str, table: str, **arguments: Any) -> dict[str, Any]:
        touched.update((action, table) for action in ACTIONS[operation] if operation != "transact_write_items")
        return call(self, operation, table, **arguments)

    with mock_aws(), Store.open(Settings(aws_region="us-east-1")) as store:
        store.create_tables()
        seeding.load(store, seeding.read("fixtures/demo"))
        older = [TableSpec(name) for name in OLDER_TABLES]
        store.engine.create_tables(older)
        store.engine.put_many(older[0].name, [{"PK": {"S": "BATCH#b"}, "SK": {"S": "NOTE"}}])
        with monkeypatch.context() as patch, Store(single(store.settings), store.engine) as target:
            patch.setattr(AwsConnection, "call", listening)
            target.create_tables()
            migrate(store, target, tmp_path / "work")
            for spec in older:
                take_over(store, spec.name)
    may = allowed(policy(Tables("bluestar-", "", TableLayout.PER_TABLE), Role.OPERATOR))
    assert {("Scan", "bluestar-audit-log"), ("BatchWriteItem", "bluestar-store")} <= touched
    for action, name in touched:
        assert any(resource.endswith(f"table/{name}") for resource in may[action]), (action, name)


def single(settings: Settings) -> Settings:
    return settings.model_copy(update={"table_layout": TableLayout.SINGLE})


def test_each_role_may_do_what_the_one_before_may() -> None:
    reader, writer, operator = (allowed(policy(EIGHT, role)).keys() for role in Role)
    assert reader < writer < operator
    assert "DeleteTable" not in operator


def test_writes_are_allowed_inside_transactions_only() -> None:
    conditions = [statement.get("Condition") for statement in policy(EIGHT, Role.WRITER)["Statement"]]
    assert conditions[-1] == {"ForAnyValue:StringEquals": {"dynamodb:EnclosingOperation": ["TransactWriteItems"]}}
    assert conditions[:-1] == [None] * 3


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_the_command_prints_the_policy(flags: list[str], run: Run) -> None:
    given = ["--suffix", "-dev", "--region", "us-east-1"]
    done = run(*given, "iam-policy", "writer", "--account", "123456789012", *flags)
    assert (done.exit_code, done.stderr) == (0, "")
    assert json.loads(done.stdout) == policy(EIGHT, Role.WRITER, region="us-east-1", account="123456789012")
    assert 'table/bluestar-irs-limits"' in run("iam-policy", "reader").stdout


@pytest.mark.parametrize(
    ("arguments", "word"),
    [(["admin"], "'admin'"), (["reader", "--account", "12"], "12 digits"), (["reader", "--partition", "x"], "aws-cn")],
)
def test_bad_usage(arguments: list[str], word: str, run: Run) -> None:
    done = run("iam-policy", *arguments)
    assert done.exit_code == 2
    assert word in done.stderr
