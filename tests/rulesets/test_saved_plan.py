"""Pruning and saved plans: exactly what was reviewed is written, within the levels that the rule set names."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws

from bluestar_store import (
    CalculationRule,
    PersistenceMode,
    PlanOutdatedError,
    PlanRefusedError,
    SeedError,
    Settings,
    Store,
    VersionConflictError,
    seeding,
)
from bluestar_store.keys import Key
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.protocols import EXISTS, Update
from bluestar_store.repositories.base import Repository
from bluestar_store.rulesets import plan_file
from bluestar_store.rulesets.loading import LOADS
from bluestar_store.rulesets.reading import RuleSet
from bluestar_store.rulesets.saved_plan import apply_plan, open_plan, save_plan
from tests.rulesets.saved_plans import changed, resigned, rule, store

__all__ = ["store"]  # fixtures


def test_pruning_with_the_baseline_leaves_clients_alone(store: Store) -> None:
    before = [(e, e.version) for plan in store.plans() for e in store.overrides(plan)]
    store.calculation_rules.put(rule("GLOBAL", "obsolete"))
    report = seeding.load(store, seeding.baseline(), overwrite=True, prune=True)
    assert [entry.key for entry in report.removed] == ["CLIENT#GLOBAL CALC#obsolete"]
    assert [(e, e.version) for plan in store.plans() for e in store.overrides(plan)] == before


def test_pruning_removes_a_whole_pipeline_that_a_named_level_has_besides(store: Store) -> None:
    steps = store.pipelines.steps("ACME", "BiWeeklyFri")
    other = [step.model_copy(update={"pay_freq": "Weekly"}) for step in steps]
    store.pipelines.replace("ACME", "Weekly", other)
    report = seeding.load(store, seeding.read("fixtures/demo"), prune=True)
    assert len(report.removed) == len(steps)
    assert store.pipelines.steps("ACME", "Weekly", fallback=False) == ()
    assert store.pipelines.steps("ACME", "BiWeeklyFri") == steps


def test_a_plan_is_applied_exactly(store: Store, tmp_path: Path) -> None:
    rules = changed(store, tmp_path / "plan.json")
    report = apply_plan(store, tmp_path / "plan.json")
    assert {name: len(getattr(report, name)) for name in ("added", "overwritten", "removed")} == {
        "added": 1,
        "overwritten": 1,
        "removed": 1,
    }
    assert not seeding.compare(store, rules, prune=True)


def test_a_plan_is_applied_by_whoever_it_is_said_to_be(store: Store, tmp_path: Path) -> None:
    changed(store, tmp_path / "plan.json")
    report = apply_plan(store, tmp_path / "plan.json", actor="pat")
    assert len(report.added) == len(report.overwritten) == 1
    assert [found.written_by for found in store.at_level("ACME")].count("pat") == 2
    assert store.audit.entries(LOADS)[-1].actor == "pat"


@pytest.mark.parametrize("calc_type", ["match", "er_contrib", "extra"])
def test_a_plan_is_refused_when_one_of_its_items_moved(store: Store, tmp_path: Path, calc_type: str) -> None:
    changed(store, tmp_path / "plan.json")
    store.calculation_rules.put(rule("ACME", calc_type, "1"))
    before = store.at_level("ACME")
    with pytest.raises(PlanOutdatedError) as caught:
        apply_plan(store, tmp_path / "plan.json")
    assert caught.value.moved == (f"CLIENT#ACME CALC#{calc_type}",)
    assert store.at_level("ACME") == before


def test_a_plan_applied_twice_is_refused_the_second_time(store: Store, tmp_path: Path) -> None:
    changed(store, tmp_path / "plan.json")
    apply_plan(store, tmp_path / "plan.json")
    with pytest.raises(PlanOutdatedError):
        apply_plan(store, tmp_path / "plan.json")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"format": 2, "parts": []}',
        '{"format": 3}',
        '{"format": 1e999999999}',
        '{"format": ' + "9" * 5000 + "}",
        '{"format": 2, "parts": ' + "[" * 100_000,
        '{"format": 2, "format": 2}',
        "\udce4",
    ],
    ids=["empty", "list", "lacking", "later", "exponent", "digits", "deep", "twice", "bytes"],
)
def test_a_file_that_is_no_plan_is_refused(store: Store, tmp_path: Path, text: str) -> None:
    (tmp_path / "plan.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(PlanRefusedError, match="is no plan of this version") as caught:
        apply_plan(store, tmp_path / "plan.json")
    assert isinstance(caught.value, SeedError)
    assert len(str(caught.value)) < 500


def test_a_plan_of_0_1_0_has_to_be_made_again(store: Store, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text('{"format": 1, "parts": [\n\n]}\n')
    with pytest.raises(PlanRefusedError, match=r"was made by bluestar-store 0\.1\.0 and names no store: make it again"):
        apply_plan(store, tmp_path / "plan.json")


@pytest.mark.skipif(os.name == "nt", reason="has neither")
@pytest.mark.parametrize("what", ["pipe", "device", "large", "folder"])
def test_what_may_never_end_is_not_read(store: Store, tmp_path: Path, what: str) -> None:
    path = Path("/dev/zero") if what == "device" else tmp_path / "plan.json"
    if what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    elif what == "large":
        with path.open("wb") as file:
            file.truncate(10**9)
    with pytest.raises(PlanRefusedError):
        apply_plan(store, path)


def test_a_plan_that_could_not_be_read_is_not_written(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_file, "MAX_PLAN_BYTES", 1000)
    with pytest.raises(PlanRefusedError, match="a part of the rule set at a time"):
        changed(store, tmp_path / "plan.json")
    assert not (tmp_path / "plan.json").exists()


def test_an_altered_plan_is_refused(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    changed(store, path)
    path.write_text(path.read_text().replace('{"N":"5"}', '{"N":"50"}'))
    with pytest.raises(PlanRefusedError, match="was altered since it was made"):
        apply_plan(store, path)


def test_a_plan_with_another_digest_than_the_reviewed_one_is_refused(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    wanted = seeding.compare(store, RuleSet((rule("ACME", "extra"),)))
    reviewed = save_plan(store, wanted, path)
    resigned(path, lambda content: content["parts"][0]["wanted"][0].update(max_pct={"N": "60"}))
    with pytest.raises(PlanRefusedError, match="not the one given: it is not what was reviewed") as caught:
        apply_plan(store, path, digest=reviewed)
    assert f"has the digest {json.loads(path.read_text())['digest']}, not" in str(caught.value)  # whole
    assert save_plan(store, wanted, path) != reviewed  # the same again: nobody can try values until a digest fits
    report = apply_plan(store, path, digest=save_plan(store, wanted, path).upper())
    assert len(report.added) == 1


def test_a_plan_for_another_store_is_refused(store: Store, tmp_path: Path) -> None:
    changed(store, tmp_path / "plan.json")
    settings = Settings(persistence_mode=PersistenceMode.FILE, file_persistence_dir=tmp_path / "other")
    with Store.open(settings) as other:
        other.create_tables()
        with pytest.raises(PlanRefusedError, match=f"was made for another store .* than {tmp_path / 'other'}"):
            apply_plan(other, tmp_path / "plan.json")
    suffixed = Store(Settings(persistence_mode=PersistenceMode.MEMORY, table_suffix="-prod"), store.engine)
    with pytest.raises(PlanRefusedError, match="was made for another store"):
        apply_plan(suffixed, tmp_path / "plan.json")


def test_a_plan_is_refused_by_tables_that_were_made_again(tmp_path: Path) -> None:
    with mock_aws(), Store.open(Settings(persistence_mode="dynamo", aws_region="us-east-1")) as store:
        store.create_tables()
        save_plan(store, seeding.compare(store, RuleSet((rule("ACME"),))), tmp_path / "plan.json")
        assert "arn:aws:dynamodb:us-east-1:" in (tmp_path / "plan.json").read_text()
        store.engine.delete_tables([store.tables.name(CALCULATION_RULE)])
        store.create_tables()
        with pytest.raises(PlanRefusedError, match="was made for another store"):
            apply_plan(store, tmp_path / "plan.json")


def item(pk: str, sk: str, **attributes: Any) -> dict[str, Any]:
    return {"PK": {"S": pk}, "SK": {"S": sk}, **attributes}


def part(kind: str, *wanted: dict[str, Any]) -> dict[str, Any]:
    return {"kind": kind, "outcome": "added", "wanted": list(wanted), "stored": []}


MATCH = item("CLIENT#NEW", "CALC#match", max_pct={"N": "1"})


STRANGE = {
    "a batch": part("batch-state", item("BATCH#x", "STATE", plan_id={"S": "ACME"}, status={"S": "COMPLETED"})),
    "an entry": part("audit-entry", item("BATCH#x", "AUDIT#00000001", actor={"S": "CFO"}, action={"S": "approve"})),
    "a hold": part("plan-hold", item("PLAN#ACME", "HOLD#x")),
    "no kind": part("x", MATCH),
    "a key of another kind": part("calculation-rule", item("YEAR#2026", "LIMITS")),
    "two items in one": part("calculation-rule", MATCH, item("CLIENT#NEW", "CALC#other")),
    "one item twice": part("calculation-rule", MATCH, MATCH),
    "nothing": part("calculation-rule"),
    "an unknown attribute": part("calculation-rule", MATCH | {"zz": {"S": "x"}}),
    "a number without end": part("calculation-rule", MATCH | {"max_pct": {"N": "1E+999999"}}),
    "a number of 200 digits": part("calculation-rule", MATCH | {"max_pct": {"N": "9" * 200}}),
    "another outcome": part("calculation-rule", MATCH) | {"outcome": "same"},
    "a member more": part("calculation-rule", MATCH) | {"note": "x"},
    "no item": part("calculation-rule", {"PK": {"S": "CLIENT#NEW"}}),
    "no value": part("calculation-rule", MATCH | {"max_pct": 1}),
    "a tower": part("calculation-rule", MATCH | {"description": json.loads('{"L":[' * 200 + "]}" * 200)}),
}


@pytest.mark.parametrize("what", STRANGE)
def test_a_strangers_plan_is_one_error_and_writes_nothing(store: Store, tmp_path: Path, what: str) -> None:
    path = tmp_path / "plan.json"
    save_plan(store, seeding.compare(store, RuleSet((rule("ACME", "extra"),))), path)
    resigned(path, lambda content: content["parts"].append(STRANGE[what]))
    with pytest.raises(PlanRefusedError) as caught:
        apply_plan(store, path)
    assert len(caught.value.problems) == len(caught.value.lines) == 1
    assert len(str(caught.value)) < 600
    assert store.calculation_rules.all("NEW") == store.calculation_rules.all("GLOBAL")
    assert list(store.batches.for_plan("ACME")) == []
    assert store.audit.entries("x") == ()


def test_the_same_item_in_two_parts_is_refused(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    save_plan(store, seeding.compare(store, RuleSet((rule("ACME", "extra"),))), path)
    resigned(path, lambda content: content["parts"].append(content["parts"][0]))
    with pytest.raises(PlanRefusedError, match="PK=CLIENT#ACME SK=CALC#extra twice"):
        apply_plan(store, path)


@pytest.mark.parametrize("what", ["made again", "changed"])
def test_an_item_that_is_made_again_while_the_plan_is_applied_is_not_written_over(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    changed(store, tmp_path / "plan.json")
    before = store.calculation_rules.get("ACME", "match", fresh=True)
    table, key = store.tables.name(CALCULATION_RULE), Key("CLIENT#ACME", "CALC#match")

    def interfere() -> None:
        if what == "changed":
            store.engine.write(Update(table, key, {"max_pct": {"N": "9"}}, expect=EXISTS))
        else:
            store.engine.put_many(
                table,
                [
                    {
                        "PK": {"S": key.pk},
                        "SK": {"S": key.sk},
                        "version": {"N": str(before.version)},
                        "max_pct": {"N": "9"},
                    }
                ],
            )

    put, waiting = Repository.put, [interfere]

    def interfered(self: Repository[CalculationRule], entity: CalculationRule, *args: Any, **options: Any) -> Any:
        if entity.calc_type == "match" and waiting:
            waiting.pop()()
        return put(self, entity, *args, **options)

    monkeypatch.setattr(Repository, "put", interfered)
    with pytest.raises(VersionConflictError) as caught:
        apply_plan(store, tmp_path / "plan.json")
    assert caught.value.attribute in ("max_pct", "formula")
    assert store.calculation_rules.get("ACME", "match", fresh=True).max_pct == 9


NULL = {"NULL": True}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"description": NULL}),
        ({"description": NULL}, {}),
        ({"description": NULL, "age_threshold": NULL}, {"description": NULL}),
        ({"max_pct": {"S": "abc"}}, {"max_pct": {"S": "abd"}}),
        ({"max_pct": {"S": "abc"}}, {"max_pct": NULL}),
    ],
)
@pytest.mark.parametrize("call", [open_plan, apply_plan])
def test_a_plan_is_refused_where_an_attribute_is_not_as_it_was_though_it_may_say_the_same(
    store: Store, tmp_path: Path, before: dict[str, Any], after: dict[str, Any], call: Callable[[Store, Path], Any]
) -> None:
    table, key = store.tables.name(CALCULATION_RULE), {"PK": {"S": "CLIENT#ACME"}, "SK": {"S": "CALC#match"}}
    item = {**key, "formula": {"S": "compensation"}}
    store.engine.put_many(table, [item | before])
    save_plan(store, seeding.compare(store, RuleSet((rule("ACME", max_pct="5"),))), tmp_path / "plan.json")
    store.engine.put_many(table, [item | after])
    with pytest.raises(PlanOutdatedError) as caught:
        call(store, tmp_path / "plan.json")
    assert caught.value.moved == ("CLIENT#ACME CALC#match (by a program that keeps no versions)",)
    store.engine.put_many(table, [item | before])
    assert apply_plan(store, tmp_path / "plan.json").overwritten


def test_a_respelled_number_is_the_same_to_a_plan(store: Store, tmp_path: Path) -> None:
    table, key = store.tables.name(CALCULATION_RULE), Key("CLIENT#ACME", "CALC#match")
    changed(store, tmp_path / "plan.json")
    store.engine.write(Update(table, key, {"max_pct": {"N": "4.0"}}, expect=EXISTS))
    assert apply_plan(store, tmp_path / "plan.json").overwritten


def test_what_cannot_be_read_differs_and_is_mended_by_a_load_that_overwrites_and_by_a_plan(
    store: Store, tmp_path: Path
) -> None:
    table = store.tables.name(CALCULATION_RULE)
    item = {"PK": {"S": "CLIENT#ACME"}, "SK": {"S": "CALC#match"}, "max_pct": {"S": "abc"}, "note": {"S": "theirs"}}
    wanted = RuleSet((rule("ACME"),))
    for mend in ("load", "plan"):
        store.engine.put_many(table, [item])
        assert [entry.key for entry in seeding.load(store, wanted).left_alone] == ["CLIENT#ACME CALC#match"]
        (part,) = seeding.compare(store, wanted).parts
        assert seeding.Change("max_pct", "(cannot be read)", Decimal(6)) in part.entries[0].changes
        if mend == "load":
            assert seeding.load(store, wanted, overwrite=True).overwritten
        else:
            save_plan(store, seeding.compare(store, wanted), tmp_path / "plan.json")
            assert apply_plan(store, tmp_path / "plan.json").overwritten
        found = store.calculation_rules.get("ACME", "match", fresh=True)
        assert (dict(found), found.extra) == (dict(rule("ACME")), {"note": "theirs"})
