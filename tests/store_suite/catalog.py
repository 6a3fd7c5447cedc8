"""What there is: plans, categories, vendors and overrides, whoever wrote them, with and without indexes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bluestar_store.errors import SchemaNotFoundError
from bluestar_store.keys import DEFAULT, GLOBAL, Key
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.models.batches import BATCH_STATE
from bluestar_store.models.calculation import CALCULATION_RULE, CalculationRule
from bluestar_store.models.config import ACH_CONFIG, CLIENT_CONFIG, AchConfig, ClientConfig
from bluestar_store.models.holds import PLAN_HOLD
from bluestar_store.models.limits import IRS_LIMITS
from bluestar_store.models.pipeline import PIPELINE_STEP, PipelineStep
from bluestar_store.models.validation import VALIDATION_RULE, ValidationRule
from bluestar_store.models.vendor import VENDOR_SCHEMA, VendorSchema
from bluestar_store.protocols import ANY, Item
from bluestar_store.repositories.recheck import Recheck
from bluestar_store.store import Store
from tests.store_suite.side_door import Calls, RawGet, RawPut, table, wire, without_indexes

FOREIGN: list[tuple[Mapper[Any], Item]] = [
    (CALCULATION_RULE, wire("CLIENT#ACME", "CALC#match")),
    (CALCULATION_RULE, wire("CLIENT#GLOBAL", "CALC#match")),
    (VALIDATION_RULE, wire("CATEGORY#NAME", "RULE#001")),
    (VALIDATION_RULE, wire("CATEGORY#SSN#CLIENT#BETA", "RULE#1")),
    (PIPELINE_STEP, wire("CLIENT#GAMMA_Weekly", "STEP#100")),
    (PIPELINE_STEP, wire("CLIENT#DEFAULT_Weekly", "STEP#100")),
    (CLIENT_CONFIG, wire("CLIENT#DELTA_Weekly", "CONFIG")),
    (ACH_CONFIG, wire("CLIENT#EPSILON_Weekly", "ACH")),
    (VENDOR_SCHEMA, wire("VENDOR#ADP", "SCHEMA#v1", plan_id="ZETA")),
    (VENDOR_SCHEMA, wire("VENDOR#PAYCHEX", "SCHEMA#v1")),
    (IRS_LIMITS, wire("YEAR#2020", "LIMITS")),
    (PLAN_HOLD, wire("PLAN#ACME", "HOLD#open", created="2024-01-15", version={"N": "4"}, note="x")),
    (PLAN_HOLD, wire("PLAN#ACME", "HOLD#done", released="2024-01-16")),
    (BATCH_STATE, wire("BATCH#b1", "STATE", plan_id="ACME", created="2024-01-15")),
]
"""Items as other programs write them: no index attributes, hardly any of ours."""
PLANS = ("ACME", "BETA", "DELTA", "EPSILON", "GAMMA", "ZETA")


def put_foreign(store: Store, raw_put: RawPut) -> None:
    """Everything in FOREIGN."""
    for kind, item in FOREIGN:
        raw_put(table(store, kind), item)


def check_foreign(store: Store) -> None:
    """Everything in FOREIGN is found."""
    assert store.plans() == PLANS
    assert store.categories() == ("NAME", "SSN")
    assert store.vendors() == ("ADP", "PAYCHEX")
    assert [limits.year for limits in store.irs_limits.all()] == [2020]
    assert [type(entity) for entity in store.overrides("ACME")] == [CalculationRule]
    assert [type(entity) for entity in store.overrides("ZETA")] == [VendorSchema]
    assert [hold.hold_id for hold in store.holds.all_open()] == ["open"]
    assert [batch.batch_id for batch in store.batches.for_plan("ACME")] == ["b1"]


class CatalogTests:
    """`plans`, `categories`, `vendors`, `overrides`, vendor schemas, and the indexes behind them."""

    def test_an_empty_store_has_nothing(self, store: Store) -> None:
        assert (store.plans(), store.categories(), store.vendors(), store.overrides("ACME")) == ((), (), (), ())

    @pytest.mark.every_engine
    def test_everything_that_is_a_plans_own_is_found_and_nothing_else(self, store: Store) -> None:
        own = [
            *store.pipelines.replace(
                "ACME", "Weekly", [PipelineStep(plan_id="ACME", pay_freq="Weekly", step_order=n) for n in (20, 100)]
            ),
            store.validation_rules.put(ValidationRule(category="SSN", plan_id="ACME", number=1, enabled=False)),
            store.calculation_rules.put(CalculationRule(plan_id="ACME", calc_type="match")),
            store.client_configs.put(ClientConfig(plan_id="ACME", pay_freq="Weekly")),
            store.ach_configs.put(AchConfig(plan_id="ACME", pay_freq="Weekly")),
            store.vendor_schemas.put(VendorSchema(vendor_id="ADP", fingerprint="f", plan_id="ACME")),
        ]
        store.vendor_schemas.put(VendorSchema(vendor_id="ADP", fingerprint="g"))
        store.validation_rules.put(ValidationRule(category="NAME", number=1))
        for plan_id in (GLOBAL, "ACM", "ACMEX"):  # close in every sort order
            store.calculation_rules.put(CalculationRule(plan_id=plan_id, calc_type="match"))
        store.client_configs.put(ClientConfig(plan_id=DEFAULT, pay_freq="Weekly"))
        found = store.overrides("ACME")
        assert [kind_of(entity) for entity in found] == [kind_of(entity) for entity in own]
        assert list(found) == own
        assert store.plans() == ("ACM", "ACME", "ACMEX")
        assert store.categories() == ("NAME", "SSN")
        assert store.vendors() == ("ADP",)
        assert store.overrides("NEW") == ()

    @pytest.mark.every_engine
    def test_what_is_deleted_is_gone(self, store: Store) -> None:
        rule = store.calculation_rules.put(CalculationRule(plan_id="ACME", calc_type="match"))
        check = store.validation_rules.put(ValidationRule(category="SSN", plan_id="ACME", number=1))
        schema = store.vendor_schemas.put(VendorSchema(vendor_id="ADP", fingerprint="f", plan_id="ACME"))
        store.calculation_rules.delete(rule)
        assert (store.plans(), len(store.overrides("ACME"))) == (("ACME",), 2)
        store.validation_rules.delete(check)
        store.vendor_schemas.delete(schema)
        assert (store.plans(), store.categories(), store.vendors(), store.overrides("ACME")) == ((), (), (), ())

    @pytest.mark.every_engine
    def test_the_rules_of_a_type_are_found_at_every_level_whoever_wrote_them(
        self, store: Store, raw_put: RawPut
    ) -> None:
        assert store.rules_of_type("match") == ()
        put_foreign(store, raw_put)
        for plan_id, calc_type in (("ZED", "match"), ("ZED", "matching"), ("ABC", "match"), ("ABC", "vesting")):
            store.calculation_rules.put(CalculationRule(plan_id=plan_id, calc_type=calc_type))
        found = store.rules_of_type("match")
        assert [rule.plan_id for rule in found] == [GLOBAL, "ABC", "ACME", "ZED"]
        assert {rule.calc_type for rule in found} == {"match"}
        store.calculation_rules.delete(found[1])
        assert [rule.plan_id for rule in store.rules_of_type("match")] == [GLOBAL, "ACME", "ZED"]

    def test_a_schema_that_moves_to_another_plan_is_found_there_only(self, store: Store) -> None:
        schema = store.vendor_schemas.put(VendorSchema(vendor_id="ADP", fingerprint="f", plan_id="ACME"))
        store.vendor_schemas.put(schema.model_copy(update={"plan_id": "ZED"}))
        assert (store.plans(), store.overrides("ACME")) == (("ZED",), ())

    @pytest.mark.every_engine
    def test_items_of_other_programs_are_found(self, store: Store, raw_put: RawPut) -> None:
        put_foreign(store, raw_put)
        check_foreign(store)

    @pytest.mark.every_engine
    def test_items_of_other_programs_are_found_in_tables_without_indexes(self, store: Store, raw_put: RawPut) -> None:
        without_indexes(store)
        put_foreign(store, raw_put)
        check_foreign(store)
        store.calculation_rules.put(CalculationRule(plan_id="OMEGA", calc_type="match"))
        assert store.plans() == (*PLANS[:-1], "OMEGA", "ZETA")

    @pytest.mark.every_engine
    def test_an_upgrade_adds_indexes_and_index_attributes_and_changes_nothing_else(
        self, store: Store, raw_put: RawPut, raw_get: RawGet
    ) -> None:
        without_indexes(store)
        put_foreign(store, raw_put)
        raw_put(table(store, CALCULATION_RULE), wire("CLIENT#ACME", "CALC#bad", max_pct="6 %"))
        assert store.create_tables() == []
        assert not any(status.indexes for status in store.describe_tables())
        assert store.create_tables(upgrade=True) == []
        wanted = {spec.name: {index.name for index in spec.indexes} for spec in store.tables.specs()}
        assert {status.name: set(status.indexes) for status in store.describe_tables()} == wanted
        for mapper, item in FOREIGN:
            stored = raw_get(table(store, mapper), Key(item["PK"]["S"], item["SK"]["S"])) or {}
            assert {name: value for name, value in stored.items() if not name.startswith("bs_")} == item
            assert (stored.keys() >= mapper.index_attributes) is (item["SK"]["S"] != "HOLD#done")
        assert store.create_tables(upgrade=True) == []
        store.calculation_rules.delete(CalculationRule(plan_id="ACME", calc_type="other"), expected=ANY)

    @pytest.mark.every_engine
    def test_an_upgraded_store_finds_the_same_and_scans_nothing(
        self, store: Store, raw_put: RawPut, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put_foreign(store, raw_put)
        store.create_tables(upgrade=True)
        calls = Calls.of(store, monkeypatch)
        check_foreign(store)
        assert "scan" not in calls

    @pytest.mark.every_engine
    def test_what_others_write_to_an_upgraded_store_is_found_by_its_rechecks(
        self, store: Store, raw_put: RawPut, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.create_tables(upgrade=True)
        put_foreign(store, raw_put)
        marks = store.index_marks
        for mark in marks.current().values():
            marks.write(replace(mark, due=store.clock.now()), mark.version)
        recheck = Recheck(store.sessions, marks)
        for _ in range(len(marks.current())):
            recheck.catch_up()
        calls = Calls.of(store, monkeypatch)
        check_foreign(store)
        assert "scan" not in calls

    @pytest.mark.every_engine
    def test_a_schema_is_found_by_the_columns_of_a_file(self, store: Store) -> None:
        columns = ["Employee  SSN", " gross pay "]
        made = store.vendor_schemas.put(
            VendorSchema(
                vendor_id="ADP",
                fingerprint=VendorSchema.fingerprint_of(columns),
                columns=tuple(columns),
                mapping={"Employee  SSN": "ssn"},
            )
        )
        assert store.vendor_schemas.match("ADP", ["EMPLOYEE SSN", "Gross\tPay"]) == made
        for vendor, other in (("ADP", ["gross pay", "employee ssn"]), ("ADP", ["employee ssn"]), ("GUSTO", columns)):
            with pytest.raises(SchemaNotFoundError, match=vendor):
                store.vendor_schemas.match(vendor, other)

    def test_a_schema_under_another_programs_fingerprint_stays_readable(self, store: Store, raw_put: RawPut) -> None:
        raw_put(table(store, VENDOR_SCHEMA), wire("VENDOR#ADP", "SCHEMA#v1", mapping={"M": {"A": {"S": "ssn"}}}))
        assert store.vendor_schemas.get("ADP", "v1").mapping == {"A": "ssn"}
        assert [schema.fingerprint for schema in store.vendor_schemas.for_vendor("ADP")] == ["v1"]

    def test_the_most_specific_schema_fits_and_of_those_the_newest(self, store: Store, raw_put: RawPut) -> None:
        for fingerprint, plan_id, pay_freq, created in [
            ("vendor-old", None, None, "2024-01-01"),
            ("vendor-new", None, None, "2026-01-01T00:00:00+00:00"),
            ("vendor-undated", None, None, None),
            ("plan", "ACME", None, "2024-01-01"),
            ("both-old", "ACME", "Weekly", "2024-01-01"),
            ("both-new", "ACME", "Weekly", "2025-01-01"),
            ("other", "ZED", "Monthly", "2026-02-01"),
        ]:
            given = {"plan_id": plan_id, "pay_freq": pay_freq, "created": created}
            attributes = {name: value for name, value in given.items() if value is not None}
            raw_put(table(store, VENDOR_SCHEMA), wire("VENDOR#ADP", f"SCHEMA#{fingerprint}", **attributes))

        def found(plan_id: str, pay_freq: str) -> str:
            return store.vendor_schemas.for_plan("ADP", plan_id, pay_freq).fingerprint

        assert found("ACME", "Weekly") == "both-new"
        assert found("ACME", "Monthly") == "plan"
        assert found("ZED", "Weekly") == "vendor-new"
        assert found("ZED", "Monthly") == "other"
        with pytest.raises(SchemaNotFoundError):
            store.vendor_schemas.for_plan("GUSTO", "ACME", "Weekly")


def kind_of(entity: Any) -> tuple[str, Any]:
    """The class of an entity, and its place in its pipeline if it has one."""
    return type(entity).__name__, getattr(entity, "step_order", None)
