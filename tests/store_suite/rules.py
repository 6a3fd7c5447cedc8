"""Which rule, limit or config applies: the plan's own before the level that every plan falls back to."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from bluestar_store.errors import (
    ConfigNotFoundError,
    InvalidKeyError,
    LimitsNotFoundError,
    NotFoundError,
    RuleNotFoundError,
)
from bluestar_store.keys import DEFAULT, GLOBAL
from bluestar_store.mapping.entity import PlanEntity, Scope
from bluestar_store.models.calculation import CalculationRule
from bluestar_store.models.config import AchConfig, ClientConfig
from bluestar_store.models.limits import IrsLimits
from bluestar_store.models.validation import VALIDATION_RULE, ValidationRule
from bluestar_store.store import Store
from tests.store_suite.side_door import Calls, table, wire

REFUSED = ["", "A#B", "a\nb", "\x00", "x" * 3000]
"""Identifiers that are refused wherever one is asked for."""


class RuleTests:
    """Fallback and overlay."""

    def test_a_plans_own_calculation_rule_comes_before_globals(self, store: Store) -> None:
        store.calculation_rules.put(CalculationRule(plan_id=GLOBAL, calc_type="match", max_pct=Decimal(6)))
        store.calculation_rules.put(CalculationRule(plan_id="ACME", calc_type="match", max_pct=Decimal("4.5")))
        for fresh in (False, True):
            own = store.calculation_rules.get("ACME", "match", fresh=fresh)
            other = store.calculation_rules.get("ZED", "match", fresh=fresh)
            assert (own.plan_id, own.scope, own.max_pct) == ("ACME", Scope.CLIENT, Decimal("4.5"))
            assert (other.plan_id, other.scope, other.max_pct) == (GLOBAL, Scope.GLOBAL, Decimal(6))
        assert store.calculation_rules.get(GLOBAL, "match").max_pct == 6

    def test_a_plan_falls_back_again_when_its_own_rule_is_deleted(self, store: Store) -> None:
        store.calculation_rules.put(CalculationRule(plan_id=GLOBAL, calc_type="match"))
        own = store.calculation_rules.put(CalculationRule(plan_id="ACME", calc_type="match"))
        store.calculation_rules.delete(own)
        assert store.calculation_rules.get("ACME", "match").scope is Scope.GLOBAL

    def test_a_rule_at_no_level_is_not_found(self, store: Store) -> None:
        store.calculation_rules.put(CalculationRule(plan_id="ZED", calc_type="match"))
        with pytest.raises(RuleNotFoundError, match=r"'match'.*'ACME'") as caught:
            store.calculation_rules.get("ACME", "match")
        assert isinstance(caught.value, NotFoundError)
        assert isinstance(caught.value, LookupError)

    def test_both_levels_of_a_rule_are_one_read(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        store.calculation_rules.put(CalculationRule(plan_id=GLOBAL, calc_type="match"))
        calls = Calls.of(store, monkeypatch)
        store.calculation_rules.get("ACME", "match")
        assert calls == ["get_isolated"]

    def test_all_is_the_merged_map_with_the_scope_of_each_rule(self, store: Store) -> None:
        for plan_id, names in {GLOBAL: "vesting match", "ACME": "match bonus", "ZED": "true_up"}.items():
            for name in names.split():
                store.calculation_rules.put(CalculationRule(plan_id=plan_id, calc_type=name))
        scopes = {name: rule.scope for name, rule in store.calculation_rules.all("ACME").items()}
        assert scopes == {"bonus": Scope.CLIENT, "match": Scope.CLIENT, "vesting": Scope.GLOBAL}
        assert list(scopes) == sorted(scopes)
        assert list(store.calculation_rules.all(GLOBAL, fresh=True)) == ["match", "vesting"]
        assert list(store.calculation_rules.all("NEW")) == ["match", "vesting"]

    def test_all_is_empty_when_there_are_no_rules(self, store: Store) -> None:
        assert dict(store.calculation_rules.all("ACME")) == {}

    def test_a_plans_own_validation_rules_lie_over_globals_number_by_number(self, store: Store) -> None:
        for plan_id, number, enabled, message in [
            (GLOBAL, 1, True, "g1"),
            (GLOBAL, 2, True, "g2"),
            (GLOBAL, 3, True, "g3"),
            (GLOBAL, 4, False, "g4"),
            ("ACME", 2, True, "a2"),
            ("ACME", 3, False, "a3"),
            ("ACME", 4, True, "a4"),
            ("ACME", 9, True, "a9"),
            ("ZED", 1, False, "z1"),
        ]:
            store.validation_rules.put(
                ValidationRule(category="SSN", plan_id=plan_id, number=number, enabled=enabled, message=message)
            )
        store.validation_rules.put(ValidationRule(category="SSN2", number=1, message="other"))

        def messages(plan_id: str) -> list[str | None]:
            return [rule.message for rule in store.validation_rules.for_category("SSN", plan_id=plan_id)]

        assert messages("ACME") == ["g1", "a2", "a4", "a9"]
        assert messages("ZED") == ["g2", "g3"]
        assert messages("NEW") == messages(GLOBAL) == ["g1", "g2", "g3"]
        own = store.validation_rules.at_level("SSN", "ACME")
        assert [(rule.number, rule.enabled) for rule in own] == [(2, True), (3, False), (4, True), (9, True)]
        assert store.validation_rules.for_category("NONE", "ACME") == ()

    @pytest.mark.every_engine
    def test_a_category_of_more_than_a_thousand_rules_is_read_whole_in_number_order(self, store: Store) -> None:
        numbers = range(995, 2001)  # across the width of the number: RULE#1000 sorts before RULE#999 as text
        text = "x" * 1500  # more than the 1 MB of one page
        store.engine.put_many(
            table(store, VALIDATION_RULE), (wire("CATEGORY#SSN", f"RULE#{n:03d}", message=text) for n in numbers)
        )
        store.validation_rules.put(ValidationRule(category="SSN", plan_id="ACME", number=1000, enabled=False))
        assert [rule.number for rule in store.validation_rules.for_category("SSN")] == list(numbers)
        own = [rule.number for rule in store.validation_rules.for_category("SSN", "ACME")]
        assert own == [number for number in numbers if number != 1000]

    def test_limits_are_those_of_the_year_and_of_no_other(self, store: Store) -> None:
        for year, amount in ((2026, 24500), (2024, 23000), (2025, 23500)):
            store.irs_limits.put(IrsLimits(year=year, max_401k=Decimal(amount)))
        assert store.irs_limits.get(2025).max_401k == Decimal(23500)
        assert [limits.year for limits in store.irs_limits.all()] == [2024, 2025, 2026]
        with pytest.raises(LimitsNotFoundError, match="2027"):
            store.irs_limits.get(2027)

    def test_configs_fall_back_to_default(self, store: Store) -> None:
        store.client_configs.put(ClientConfig(plan_id=DEFAULT, pay_freq="Weekly", deadline_hour=17))
        store.client_configs.put(ClientConfig(plan_id="ACME", pay_freq="Weekly", deadline_hour=9))
        store.ach_configs.put(AchConfig(plan_id="ACME", pay_freq="Weekly", bank_id="B"))
        assert store.client_configs.get("ACME", "Weekly").deadline_hour == 9
        other = store.client_configs.get("ZED", "Weekly")
        assert (other.deadline_hour, other.scope) == (17, Scope.DEFAULT)
        assert store.ach_configs.get("ACME", "Weekly", fresh=True).bank_id == "B"
        for missing in (
            lambda: store.client_configs.get("ZED", "Weekly", fallback=False),
            lambda: store.client_configs.get("ACME", "Monthly"),
            lambda: store.ach_configs.get("ZED", "Weekly"),
        ):
            with pytest.raises(ConfigNotFoundError):
                missing()

    def test_an_identifier_that_would_be_ambiguous_is_refused_before_anything_is_sent(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls = Calls.of(store, monkeypatch)
        refused: list[Callable[[str], object]] = [
            lambda wrong: store.calculation_rules.get(wrong, "match"),
            lambda wrong: store.calculation_rules.get("ACME", wrong),
            lambda wrong: store.calculation_rules.all(wrong),
            lambda wrong: store.calculation_rules.put(CalculationRule(plan_id=wrong, calc_type="match")),
            lambda wrong: store.calculation_rules.delete(CalculationRule(plan_id="ACME", calc_type=wrong)),
            lambda wrong: store.validation_rules.for_category(wrong),
            lambda wrong: store.pipelines.steps("ACME", wrong),
            lambda wrong: store.pipelines.remove(wrong, "Weekly"),
            lambda wrong: store.client_configs.get("ACME", wrong),
            lambda wrong: store.vendor_schemas.for_vendor(wrong),
            lambda wrong: store.holds.get("ACME", wrong),
            lambda wrong: store.batches.get(wrong),
            store.overrides,
            lambda wrong: store.plan_snapshot(wrong, "Weekly", 2026),
        ]
        for wrong in REFUSED:
            for call in refused:
                with pytest.raises(InvalidKeyError):
                    call(wrong)
        assert calls == []

    def test_a_reserved_level_is_refused_where_a_plan_is_meant(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls = Calls.of(store, monkeypatch)
        for refused in (
            lambda: store.calculation_rules.get(DEFAULT, "match"),
            lambda: store.pipelines.steps(GLOBAL, "Weekly"),
            lambda: store.holds.open(GLOBAL),
            lambda: store.batches.for_plan(DEFAULT),
            lambda: store.overrides(GLOBAL),
            lambda: store.vendor_schemas.for_plan("ADP", GLOBAL, "Weekly"),
            lambda: store.plan_snapshot(DEFAULT, "Weekly", 2026),
        ):
            with pytest.raises(InvalidKeyError, match="reserved"):
                refused()
        assert calls == []

    @pytest.mark.every_engine
    def test_any_other_identifier_is_kept_as_it_is(self, store: Store) -> None:
        kept = ["../x", "a b", "😀", "acme", "ACME", "A_B", "x" * 900]
        for identifier in kept:
            store.calculation_rules.put(
                CalculationRule(plan_id=identifier, calc_type=identifier, description=identifier)
            )
        for identifier in kept:
            read = store.calculation_rules.get(identifier, identifier)
            assert (read.plan_id, read.calc_type, read.description) == (identifier, identifier, identifier)
            assert [entity.plan_id for entity in store.overrides(identifier) if isinstance(entity, PlanEntity)] == [
                identifier
            ]
        assert store.plans() == tuple(sorted(kept))
