"""What every rules store has to do, whatever lies behind it. Plug one in with a store and a raw side door."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from bluestar_store.errors import InvalidKeyError, RuleNotFoundError
from bluestar_store.persistence import EngineRulesStore, IRulesStore
from bluestar_store.protocols import Item

Put: TypeAlias = Callable[[str, Item], None]
"""Puts a wire item into a table, by its name without prefix and suffix, past the code under test."""


def item(pk: str, sk: str, **attributes: Any) -> Item:
    """A wire item: text, whole numbers, and booleans as Python, anything else in wire form."""
    kinds = {str: "S", bool: "BOOL", int: "N"}
    wired = {
        name: {kinds[type(value)]: str(value) if type(value) is int else value} if type(value) in kinds else value
        for name, value in attributes.items()
    }
    return {"PK": {"S": pk}, "SK": {"S": sk}, **wired}


class RulesSuite:
    """Subclasses give the fixtures `store` and `put`."""

    def test_it_is_a_rules_store(self, store: EngineRulesStore) -> None:
        assert isinstance(store, IRulesStore)

    def test_what_is_absent_is_empty(self, store: EngineRulesStore) -> None:
        assert store.get_client_config("ACME", "Weekly") == {}
        assert store.get_ach_config("ACME", "Weekly") == {}
        assert store.get_irs_limits(2026) == {}
        assert store.get_vendor_schema("ADP", "ACME", "Weekly") == {}
        assert store.get_validation_rules("SSN") == []
        assert store.get_pipeline_steps("ACME", "Weekly") == []
        assert store.get_plan_holds("ACME") == []
        assert store.get_pipeline("ACME") == []
        assert store.get_client_validation_rules("ACME", "ssn") == []

    def test_a_config_has_its_attributes_by_their_names_on_disk(self, store: EngineRulesStore, put: Put) -> None:
        put("agent-config", item("CLIENT#ACME_Weekly", "CONFIG", custodian="Fidelity", deadline_hour=17, mood="odd"))
        put("agent-config", item("CLIENT#ACME_Weekly", "ACH", account_number="123456789"))
        put("agent-config", item("CLIENT#DEFAULT_Monthly", "CONFIG", custodian="Any"))
        key = {"PK": "CLIENT#ACME_Weekly", "SK": "CONFIG"}
        expected = key | {"custodian": "Fidelity", "deadline_hour": 17, "mood": "odd"}
        assert store.get_client_config("ACME", "Weekly") == expected
        assert store.get_ach_config("ACME", "Weekly") == key | {"SK": "ACH", "account_number": "123456789"}
        assert store.get_client_config("ACME", "Monthly") == {}

    @pytest.mark.every_engine
    def test_numbers_are_int_or_float_and_containers_plain(self, store: EngineRulesStore, put: Put) -> None:
        put(
            "irs-limits",
            item(
                "YEAR#2026",
                "LIMITS",
                max_401k=24500,
                rate={"N": "6.5"},
                small={"N": "-0.01"},
                big={"N": "1E30"},
                nothing={"NULL": True},
                tiers={"L": [{"M": {"years": {"N": "2"}, "pct": {"N": "0.2"}}}]},
                ages={"NS": ["50", "59.5"]},
                raw={"B": b"\x00\xff"},
                yes=True,
            ),
        )
        found = store.get_irs_limits(2026)
        assert found == {
            "PK": "YEAR#2026",
            "SK": "LIMITS",
            "max_401k": 24500,
            "rate": 6.5,
            "small": -0.01,
            "big": 10**30,
            "nothing": None,
            "tiers": [{"years": 2, "pct": 0.2}],
            "ages": {50, 59.5},
            "raw": b"\x00\xff",
            "yes": True,
        }
        types = {name: type(value) for name, value in found.items()}
        assert (types["max_401k"], types["rate"], types["big"], types["yes"]) == (int, float, int, bool)
        assert (types["tiers"], types["ages"], types["raw"]) == (list, set, bytes)

    def test_what_is_returned_belongs_to_the_caller(self, store: EngineRulesStore, put: Put) -> None:
        put("irs-limits", item("YEAR#2026", "LIMITS", tiers={"L": [{"N": "1"}]}))
        store.get_irs_limits(2026)["tiers"].append(2)
        assert store.get_irs_limits(2026)["tiers"] == [1]

    def test_a_calculation_rule_is_the_plans_own_else_globals(self, store: EngineRulesStore, put: Put) -> None:
        put("calculation-rules", item("CLIENT#GLOBAL", "CALC#match", max_pct=6))
        assert store.get_calculation_rule("ACME", "match")["max_pct"] == 6
        put("calculation-rules", item("CLIENT#ACME", "CALC#match", max_pct={"N": "4.5"}))
        assert store.get_calculation_rule("ACME", "match")["max_pct"] == 4.5
        assert store.get_calculation_rule("OTHER", "match")["max_pct"] == 6
        assert store.get_calculation_rule("GLOBAL", "match")["max_pct"] == 6

    def test_a_calculation_rule_of_neither_is_an_error(self, store: EngineRulesStore) -> None:
        with pytest.raises(
            RuleNotFoundError, match=r"'match' for plan 'ACME' nor GLOBAL in bluestar-calculation-rules"
        ):
            store.get_calculation_rule("ACME", "match")

    @pytest.mark.every_engine
    def test_an_item_that_no_entity_could_be_is_given_as_it_is(self, store: EngineRulesStore, put: Put) -> None:
        put("calculation-rules", item("CLIENT#ACME", "CALC#match", max_pct="six", version="first"))
        found = store.get_calculation_rule("ACME", "match")
        assert (found["max_pct"], found["version"]) == ("six", "first")

    @pytest.mark.every_engine
    def test_items_without_a_number_in_their_key_are_found_wherever_they_are_asked_for(
        self, store: EngineRulesStore, put: Put
    ) -> None:
        put("validation-rules", item("CATEGORY#SSN", "RULE#format", field="ssn"))
        put("processing-pipeline", item("CLIENT#ACME_Weekly", "STEP#VALIDATE", stepOrder=1))
        assert [rule["SK"] for rule in store.get_client_validation_rules("ACME", "ssn")] == ["RULE#format"]
        assert [step["SK"] for step in store.get_pipeline("ACME")] == ["STEP#VALIDATE"]
        assert store.get_pipeline("ACME") == store.get_pipeline("ACME", "Weekly")

    @pytest.mark.every_engine
    def test_validation_rules_are_in_the_order_of_their_numbers(self, store: EngineRulesStore, put: Put) -> None:
        for sk in ("RULE#1000", "RULE#999", "RULE#7", "RULE#010", "RULE#custom"):
            put("validation-rules", item("CATEGORY#SSN", sk))
        put("validation-rules", item("CATEGORY#SSN", "RULE#002", enabled=False))
        put("validation-rules", item("CATEGORY#SSN#CLIENT#ACME", "RULE#001"))
        put("validation-rules", item("CATEGORY#SSN2", "RULE#001"))
        keys = [rule["SK"] for rule in store.get_validation_rules("SSN")]
        assert keys == ["RULE#002", "RULE#7", "RULE#010", "RULE#999", "RULE#1000", "RULE#custom"]

    @pytest.mark.every_engine
    def test_steps_are_in_the_order_of_step_order(self, store: EngineRulesStore, put: Put) -> None:
        pk = "CLIENT#ACME_Weekly"
        put("processing-pipeline", item(pk, "STEP#0100", stepOrder=300))
        put("processing-pipeline", item(pk, "STEP#0200", stepOrder=100))
        put("processing-pipeline", item(pk, "STEP#0300", stepOrder={"N": "200"}, enabled=False))
        put("processing-pipeline", item(pk, "STEP#150"))
        put("processing-pipeline", item(pk, "STEP#last"))
        put("processing-pipeline", item(pk, "NOTE#1"))
        keys = [step["SK"] for step in store.get_pipeline_steps("ACME", "Weekly")]
        assert keys == ["STEP#0200", "STEP#150", "STEP#0300", "STEP#0100", "STEP#last"]

    def test_a_plan_without_steps_does_not_get_defaults(self, store: EngineRulesStore, put: Put) -> None:
        put("processing-pipeline", item("CLIENT#DEFAULT_Weekly", "STEP#0100", stepOrder=100))
        assert store.get_pipeline_steps("ACME", "Weekly") == []
        assert len(store.get_pipeline_steps("DEFAULT", "Weekly")) == 1

    @pytest.mark.every_engine
    def test_steps_of_more_than_a_page_are_all_given(self, store: EngineRulesStore, put: Put) -> None:
        for number in range(1, 8):  # 8 would be 2.4 MB: a page of DynamoDB has 1 MB
            put("processing-pipeline", item("CLIENT#ACME_Weekly", f"STEP#{number:04d}", note="x" * 300_000))
        assert len(store.get_pipeline_steps("ACME", "Weekly")) == 7

    def test_holds_are_given_released_or_not(self, store: EngineRulesStore, put: Put) -> None:
        put("batch-state", item("PLAN#ACME", "HOLD#2", reason="Missing data"))
        put("batch-state", item("PLAN#ACME", "HOLD#1", released="2024-01-15"))
        put("batch-state", item("PLAN#ACME", "OTHER#1"))
        assert [hold["SK"] for hold in store.get_plan_holds("ACME")] == ["HOLD#1", "HOLD#2"]

    @pytest.mark.every_engine
    def test_the_most_specific_vendor_schema_is_given(self, store: EngineRulesStore, put: Put) -> None:
        def schema(name: str, **attributes: Any) -> None:
            put("vendor-schema-mapping", item("VENDOR#ADP", f"SCHEMA#{name}", name=name, **attributes))

        def found() -> str:
            return str(store.get_vendor_schema("ADP", "ACME", "Weekly")["name"])

        schema("a", plan_id="OTHER", pay_freq="Weekly")
        schema("b", plan_id={"N": "5"})
        schema("vendor#old", created="someday", columns="no list")
        assert found() == "vendor#old"
        schema("vendor-new", created="2024-01-15", plan_id={"NULL": True})
        assert found() == "vendor-new"
        schema("plan", plan_id="ACME", created="2020-01-01", version="x")
        assert found() == "plan"
        schema("both", plan_id="ACME", pay_freq="Weekly")
        assert found() == "both"

    def test_a_vendor_schema_at_the_old_place_is_found_too(self, store: EngineRulesStore, put: Put) -> None:
        put("validation-rules", item("VENDOR#ADP_ACME_Weekly", "SCHEMA", columns={"L": [{"S": "SSN"}]}))
        assert store.get_vendor_schema("ADP", "ACME", "Weekly")["columns"] == ["SSN"]
        put("vendor-schema-mapping", item("VENDOR#ADP", "SCHEMA#1", columns={"L": [{"S": "Name"}]}))
        assert store.get_vendor_schema("ADP", "ACME", "Weekly")["columns"] == ["Name"]

    @pytest.mark.every_engine
    def test_all_of_a_plans_steps_are_by_frequency_then_order(self, store: EngineRulesStore, put: Put) -> None:
        for pk in ("CLIENT#ACME_Weekly", "CLIENT#ACME_Monthly", "CLIENT#ACME_2_Weekly", "CLIENT#ACM_Weekly"):
            put("processing-pipeline", item(pk, "STEP#0200", stepOrder=200))
            put("processing-pipeline", item(pk, "STEP#100", stepOrder=100))
        places = [(step["PK"], step["SK"]) for step in store.get_pipeline("ACME")]
        both = ("CLIENT#ACME_Monthly", "CLIENT#ACME_Weekly")
        assert places == [(pk, sk) for pk in both for sk in ("STEP#100", "STEP#0200")]
        assert store.get_pipeline("ACME", "Weekly") == store.get_pipeline_steps("ACME", "Weekly")

    @pytest.mark.every_engine
    def test_the_rules_of_a_field_are_every_categorys_with_the_clients_own(
        self, store: EngineRulesStore, put: Put
    ) -> None:
        def rule(category: str, number: str, field: str, **attributes: Any) -> None:
            put("validation-rules", item(f"CATEGORY#{category}", f"RULE#{number}", field=field, **attributes))

        rule("SSN", "001", "ssn", pattern="global")
        rule("SSN", "002", "ssn", enabled=False)
        rule("SSN", "003", "ssn", pattern="switched off by the plan")
        rule("SSN", "004", "name")
        rule("SSN", "custom", "ssn", pattern="without a number")
        rule("CENSUS", "001", "ssn", severity={"N": "1"})
        rule("SSN#CLIENT#ACME", "1", "ssn", pattern="own")
        rule("SSN#CLIENT#ACME", "003", "ssn", enabled=False)
        rule("EXTRA#CLIENT#ACME", "001", "ssn")
        rule("SSN#CLIENT#OTHER", "005", "ssn")
        found = store.get_client_validation_rules("ACME", "ssn")
        assert [(rule["PK"], rule["SK"]) for rule in found] == [
            ("CATEGORY#CENSUS", "RULE#001"),
            ("CATEGORY#EXTRA#CLIENT#ACME", "RULE#001"),
            ("CATEGORY#SSN#CLIENT#ACME", "RULE#1"),
            ("CATEGORY#SSN", "RULE#custom"),
        ]

    @pytest.mark.parametrize("wrong", ["", "A#B", "A\nB", "A" * 3000])
    def test_an_identifier_that_cannot_stand_in_a_key_is_refused(self, store: EngineRulesStore, wrong: str) -> None:
        calls: list[Callable[[], object]] = [
            lambda: store.get_client_config(wrong, "Weekly"),
            lambda: store.get_ach_config(wrong, "Weekly"),
            lambda: store.get_validation_rules(wrong),
            lambda: store.get_calculation_rule(wrong, "match"),
            lambda: store.get_calculation_rule("ACME", wrong),
            lambda: store.get_pipeline_steps("ACME", wrong),
            lambda: store.get_plan_holds(wrong),
            lambda: store.get_vendor_schema(wrong, "ACME", "Weekly"),
            lambda: store.get_pipeline(wrong),
            lambda: store.get_client_validation_rules(wrong, "ssn"),
        ]
        for call in calls:
            with pytest.raises(InvalidKeyError):
                call()
