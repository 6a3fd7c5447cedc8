"""Items of other programs: read as they are, changed only where asked, found wherever they lie."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from bluestar_store.errors import ItemDecodeError, VersionConflictError
from bluestar_store.keys import Key
from bluestar_store.models.calculation import CALCULATION_RULE, CalculationRule
from bluestar_store.models.config import ACH_CONFIG, AchConfig
from bluestar_store.models.holds import PLAN_HOLD
from bluestar_store.models.pipeline import PIPELINE_STEP, PipelineStep
from bluestar_store.models.validation import VALIDATION_RULE, ValidationRule
from bluestar_store.store import Store
from tests.store_suite.side_door import RawGet, RawPut, table, wire

RULES = "CATEGORY#SSN"
FOREIGN: dict[str, Any] = {
    "vestingTiers": {"L": [{"M": {"years": {"N": "2"}, "pct": {"N": "20.5"}}}, {"NULL": True}]},
    "tags": {"SS": ["a", "b"]},
    "levels": {"NS": ["1"]},
    "blob": {"B": b"\x00\xff"},
    "digits": {"N": "12345678901234567890123456789012345678"},
    "active": {"BOOL": False},
    "empty": {"S": ""},
}
"""Attributes that no entity knows, one of each type."""


class ForeignItemTests:
    """What other code wrote to the same tables."""

    @pytest.mark.every_engine
    def test_unknown_attributes_are_read_and_survive_every_write(
        self, store: Store, raw_put: RawPut, raw_get: RawGet
    ) -> None:
        name, key = table(store, CALCULATION_RULE), Key("CLIENT#ACME", "CALC#match")
        raw_put(name, wire(*key, formula="old", **FOREIGN))
        read = store.calculation_rules.get("ACME", "match")
        assert read.extra["vestingTiers"][0]["pct"] == Decimal("20.5")
        assert read.extra["digits"] == Decimal("12345678901234567890123456789012345678")
        written = store.calculation_rules.put(read.model_copy(update={"formula": "new", "max_pct": Decimal(1)}))
        assert written.extra == read.extra
        store.calculation_rules.put(CalculationRule(plan_id="ACME", calc_type="match"))
        item = raw_get(name, key) or {}
        assert {attribute: item.get(attribute) for attribute in FOREIGN} == FOREIGN
        assert store.calculation_rules.get("ACME", "match").extra == read.extra

    @pytest.mark.every_engine
    def test_attributes_that_are_not_changed_are_not_rewritten(
        self, store: Store, raw_put: RawPut, raw_get: RawGet
    ) -> None:
        name, key = table(store, PLAN_HOLD), Key("PLAN#ACME", "HOLD#h1")
        raw_put(name, wire(*key, created="2024-01-15", batch_id={"NULL": True}, reason="Missing data"))
        read = store.holds.get("ACME", "h1")
        assert read.created == datetime(2024, 1, 15, tzinfo=UTC)
        store.holds.put(read.model_copy(update={"reason": "Still missing"}))
        item = raw_get(name, key) or {}
        assert item["created"] == {"S": "2024-01-15"}
        assert item["batch_id"] == {"NULL": True}
        assert item["reason"] == {"S": "Still missing"}
        assert "plan_id" not in item

    @pytest.mark.every_engine
    def test_a_number_in_a_key_of_another_width_is_found_and_written_in_place(
        self, store: Store, raw_put: RawPut, raw_get: RawGet
    ) -> None:
        name = table(store, VALIDATION_RULE)
        raw_put(name, wire(RULES, "RULE#7", message="old"))
        (read,) = store.validation_rules.for_category("SSN")
        assert read.number == 7
        store.validation_rules.put(read.model_copy(update={"message": "read"}))
        assert (raw_get(name, Key(RULES, "RULE#7")) or {})["message"] == {"S": "read"}
        store.validation_rules.put(ValidationRule(category="SSN", number=7, message="fresh"))
        assert (raw_get(name, Key(RULES, "RULE#7")) or {})["message"] == {"S": "fresh"}
        assert raw_get(name, Key(RULES, "RULE#007")) is None
        store.validation_rules.delete(ValidationRule(category="SSN", number=7))
        assert raw_get(name, Key(RULES, "RULE#7")) is None

    def test_a_step_of_another_width_is_written_in_place(self, store: Store, raw_put: RawPut, raw_get: RawGet) -> None:
        name, key = table(store, PIPELINE_STEP), Key("CLIENT#ACME_Weekly", "STEP#100")
        raw_put(name, wire(*key))
        store.pipelines.put(PipelineStep(plan_id="ACME", pay_freq="Weekly", step_order=100, agent="IDP"))
        (step,) = store.pipelines.steps("ACME", "Weekly")
        assert step.origin is not None
        assert (step.agent, step.origin.key) == ("IDP", key)
        assert (raw_get(name, key) or {})["stepOrder"] == {"N": "100"}

    def test_one_number_under_two_keys_is_refused_by_reads_and_writes(self, store: Store, raw_put: RawPut) -> None:
        for sk in ("RULE#007", "RULE#7"):
            raw_put(table(store, VALIDATION_RULE), wire(RULES, sk))
        rule = ValidationRule(category="SSN", number=7)
        for refused in (
            lambda: store.validation_rules.for_category("SSN", "ACME"),
            lambda: store.validation_rules.at_level("SSN"),
            lambda: store.validation_rules.put(rule),
            lambda: store.validation_rules.delete(rule),
        ):
            with pytest.raises(ItemDecodeError, match="same number as SK='RULE#"):
                refused()

    def test_an_item_that_cannot_be_read_is_named_and_spoils_no_other(self, store: Store, raw_put: RawPut) -> None:
        raw_put(table(store, CALCULATION_RULE), wire("CLIENT#ACME", "CALC#bad", max_pct="6 %"))
        raw_put(table(store, CALCULATION_RULE), wire("CLIENT#ACME", "CALC#good"))
        assert store.calculation_rules.get("ACME", "good").calc_type == "good"
        for refused in (
            lambda: store.calculation_rules.get("ACME", "bad"),
            lambda: store.calculation_rules.all("ACME"),
        ):
            with pytest.raises(ItemDecodeError) as caught:
                refused()
            error = caught.value
            assert (error.where, error.pk, error.sk) == (table(store, CALCULATION_RULE), "CLIENT#ACME", "CALC#bad")
            assert (error.attribute, error.reason) == ("max_pct", "is of type S where N is needed")

    @pytest.mark.every_engine
    @pytest.mark.parametrize("version", [{"S": "1"}, {"N": "1.5"}, {"NULL": True}], ids=["text", "fraction", "null"])
    def test_a_version_that_is_no_whole_number_is_never_written_over(
        self, store: Store, raw_put: RawPut, raw_get: RawGet, version: dict[str, object]
    ) -> None:
        name, key = table(store, CALCULATION_RULE), Key("CLIENT#ACME", "CALC#match")
        raw_put(name, wire(*key, version=version))
        rule = CalculationRule(plan_id="ACME", calc_type="match", formula="x")
        for refused in (
            lambda: store.calculation_rules.get("ACME", "match"),
            lambda: store.calculation_rules.put(rule),
            lambda: store.calculation_rules.delete(rule),
        ):
            with pytest.raises(ItemDecodeError, match="'version'"):
                refused()
        with pytest.raises((ItemDecodeError, VersionConflictError)):
            store.calculation_rules.put(rule, expected=1)
        assert (raw_get(name, key) or {})["version"] == version

    @pytest.mark.every_engine
    def test_a_change_by_a_program_that_drops_the_version_is_noticed(self, store: Store, raw_put: RawPut) -> None:
        read = store.calculation_rules.put(CalculationRule(plan_id="ACME", calc_type="match"))
        raw_put(table(store, CALCULATION_RULE), wire("CLIENT#ACME", "CALC#match", formula="theirs"))
        with pytest.raises(VersionConflictError) as caught:
            store.calculation_rules.put(read)
        assert (caught.value.expected, caught.value.found) == (1, 0)

    def test_no_error_about_an_ach_config_shows_a_whole_bank_number(self, store: Store, raw_put: RawPut) -> None:
        account = "123456789012"
        raw_put(table(store, ACH_CONFIG), wire("CLIENT#ACME_Weekly", "ACH", account_number={"N": account}))
        with pytest.raises(ItemDecodeError) as broken:
            store.ach_configs.get("ACME", "Weekly")
        made = store.ach_configs.put(AchConfig(plan_id="ZED", pay_freq="Weekly", account_number=account))
        store.ach_configs.put(made)
        with pytest.raises(VersionConflictError) as conflict:
            store.ach_configs.put(made)
        for text in (str(broken.value), repr(broken.value), str(conflict.value), repr(conflict.value), repr(made)):
            assert account not in text
