"""A plan's snapshot: all that applies, and digests that say whether two snapshots mean the same."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from bluestar_store.errors import ItemDecodeError, LimitsNotFoundError, PipelineNotFoundError
from bluestar_store.keys import DEFAULT, GLOBAL, Key
from bluestar_store.mapping.canonical import canonical
from bluestar_store.mapping.canonical import digest as plain_digest
from bluestar_store.mapping.entity import Scope
from bluestar_store.models.calculation import CALCULATION_RULE, CalculationRule
from bluestar_store.models.config import AchConfig, ClientConfig
from bluestar_store.models.limits import IrsLimits
from bluestar_store.models.pipeline import PIPELINE_STEP, PipelineStep
from bluestar_store.models.validation import VALIDATION_RULE, ValidationRule
from bluestar_store.protocols import Delete
from bluestar_store.store import Store
from tests.store_suite.side_door import RawPut, table, wire

DIGEST = "6c1a3ffb0deb2598c2ebdc2374df0a782c890b7b017a1f51bbac46c1673e2ce6"
"""Of what `fill` writes, all digests plain. It may never change: batches of years ago are pinned to such ones."""


def fill(store: Store) -> None:
    """Rules at both levels, a pipeline and configs at DEFAULT, limits."""
    steps = [PipelineStep(plan_id=DEFAULT, pay_freq="Weekly", step_order=n, agent="IDP") for n in (100, 200)]
    store.pipelines.replace(DEFAULT, "Weekly", steps)
    store.client_configs.put(ClientConfig(plan_id=DEFAULT, pay_freq="Weekly", deadline_hour=17))
    store.ach_configs.put(AchConfig(plan_id="ACME", pay_freq="Weekly", account_number="123456789"))
    for plan_id, calc_type, pct in ((GLOBAL, "match", "6"), (GLOBAL, "vesting", "20.5"), ("ACME", "match", "4")):
        store.calculation_rules.put(CalculationRule(plan_id=plan_id, calc_type=calc_type, max_pct=Decimal(pct)))
    for category, plan_id, number, enabled in (
        ("SSN", GLOBAL, 1, True),
        ("SSN", GLOBAL, 2, True),
        ("SSN", "ACME", 2, False),
        ("NAME", GLOBAL, 1, True),
        ("BANK", "ACME", 7, True),
        ("DATE", "ZED", 1, True),
    ):
        store.validation_rules.put(ValidationRule(category=category, plan_id=plan_id, number=number, enabled=enabled))
    store.irs_limits.put(IrsLimits(year=2026, max_401k=Decimal(24500)))


def digest(store: Store) -> str:
    """Of the plan that `fill` gave rules of its own."""
    return store.plan_snapshot("ACME", "Weekly", 2026).digest


class SnapshotTests:
    """`plan_snapshot`."""

    def test_a_snapshot_holds_everything_that_applies(self, store: Store) -> None:
        fill(store)
        taken = store.plan_snapshot("ACME", "Weekly", 2026)
        assert [(step.step_order, step.scope) for step in taken.steps] == [(100, Scope.DEFAULT), (200, Scope.DEFAULT)]
        assert taken.client_config is not None
        assert taken.ach_config is not None
        assert (taken.client_config.scope, taken.ach_config.scope) == (Scope.DEFAULT, Scope.CLIENT)
        assert taken.calculation_rules == store.calculation_rules.all("ACME")
        rules = {name: [rule.number for rule in found] for name, found in taken.validation_rules.items()}
        assert rules == {"BANK": [7], "NAME": [1], "SSN": [1]}
        assert taken.limits.max_401k == 24500
        assert list(taken.item_digests) == [
            "agent-config/CLIENT#ACME_Weekly/ACH",
            "agent-config/CLIENT#DEFAULT_Weekly/CONFIG",
            "calculation-rules/CLIENT#ACME/CALC#match",
            "calculation-rules/CLIENT#GLOBAL/CALC#vesting",
            "irs-limits/YEAR#2026/LIMITS",
            "processing-pipeline/CLIENT#DEFAULT_Weekly/STEP#0100",
            "processing-pipeline/CLIENT#DEFAULT_Weekly/STEP#0200",
            "validation-rules/CATEGORY#BANK#CLIENT#ACME/RULE#007",
            "validation-rules/CATEGORY#NAME/RULE#001",
            "validation-rules/CATEGORY#SSN/RULE#001",
        ]
        assert "123456789" not in repr(taken)
        for mapping in (taken.calculation_rules, taken.validation_rules, taken.item_digests):
            with pytest.raises(TypeError):
                mapping["x"] = ""  # type: ignore[index]  # that it cannot be changed is the point

    @pytest.mark.every_engine
    def test_the_digest_is_the_same_on_every_engine_and_in_every_layout(self, store: Store) -> None:
        fill(store)
        now = store.snapshots.contents("ACME", "Weekly", 2026)
        plain = {name: plain_digest(canonical(entity)) for name, (_, entity) in now.items.items()}
        assert now.digest_of(plain) == DIGEST
        keyed = "agent-config/CLIENT#ACME_Weekly/ACH"
        assert {name for name, made in now.item_digests.items() if made != plain[name]} == {keyed}

    def test_the_digest_of_what_was_not_changed_stays(self, store: Store, raw_put: RawPut) -> None:
        fill(store)
        before = store.plan_snapshot("ACME", "Weekly", 2026)
        for rule in (*store.calculation_rules.all(GLOBAL).values(), *store.calculation_rules.all("ACME").values()):
            if rule.inherited_by is None:
                store.calculation_rules.put(rule)  # another version
        store.calculation_rules.put(CalculationRule(plan_id="ZED", calc_type="match"))  # another plan's
        store.calculation_rules.put(CalculationRule(plan_id=GLOBAL, calc_type="match", max_pct=Decimal(9)))  # hidden
        name = table(store, CALCULATION_RULE)
        raw_put(name, wire("CLIENT#GLOBAL", "CALC#vesting", max_pct={"N": "20.50"}, plan_id={"NULL": True}))
        store.engine.write(Delete(table(store, VALIDATION_RULE), Key("CATEGORY#SSN", "RULE#001")))
        raw_put(table(store, VALIDATION_RULE), wire("CATEGORY#SSN", "RULE#1"))
        for sk in ("STEP#0100", "STEP#0200"):
            store.engine.write(Delete(table(store, PIPELINE_STEP), Key("CLIENT#DEFAULT_Weekly", sk)))
        for sk in ("STEP#100", "STEP#00200"):
            raw_put(table(store, PIPELINE_STEP), wire("CLIENT#DEFAULT_Weekly", sk, agent="IDP"))
        after = store.plan_snapshot("ACME", "Weekly", 2026)
        assert after.item_digests == before.item_digests
        assert after.digest == before.digest

    def test_the_digest_changes_with_every_content(self, store: Store, raw_put: RawPut) -> None:
        fill(store)
        seen = {digest(store)}
        name = table(store, CALCULATION_RULE)
        changes: list[Callable[[], Any]] = [
            lambda: store.calculation_rules.put(CalculationRule(plan_id=GLOBAL, calc_type="vesting", formula="x")),
            lambda: store.calculation_rules.put(CalculationRule(plan_id="ACME", calc_type="bonus")),
            lambda: store.calculation_rules.delete(CalculationRule(plan_id="ACME", calc_type="match")),
            lambda: raw_put(name, wire("CLIENT#ACME", "CALC#bonus", vestingTiers={"N": "1"})),
            lambda: raw_put(name, wire("CLIENT#ACME", "CALC#bonus", vestingTiers={"S": "1"})),
            lambda: raw_put(name, wire("CLIENT#ACME", "CALC#bonus", vestingTiers={"L": [{"N": "1"}]})),
            lambda: raw_put(name, wire("CLIENT#ACME", "CALC#bonus", vestingTiers={"NS": ["1"]})),
            lambda: store.validation_rules.put(ValidationRule(category="SSN", number=1, severity="error")),
            lambda: store.validation_rules.put(ValidationRule(category="NEW", number=1)),
            lambda: store.validation_rules.delete(ValidationRule(category="SSN", plan_id="ACME", number=2)),
            lambda: store.client_configs.put(ClientConfig(plan_id="ACME", pay_freq="Weekly", deadline_hour=17)),
            lambda: store.ach_configs.put(AchConfig(plan_id="ACME", pay_freq="Weekly", account_number="987")),
            lambda: store.irs_limits.put(IrsLimits(year=2026, max_401k=Decimal("24500.01"))),
            lambda: store.pipelines.put(store.pipelines.steps(DEFAULT, "Weekly")[0].model_copy(update={"agent": "X"})),
            lambda: store.pipelines.replace(
                "ACME", "Weekly", [PipelineStep(plan_id="ACME", pay_freq="Weekly", step_order=100, agent="X")]
            ),
        ]
        for number, change in enumerate(changes, 2):
            change()
            seen.add(digest(store))
            assert len(seen) == number

    def test_another_plan_frequency_or_year_is_another_digest(self, store: Store) -> None:
        fill(store)
        store.irs_limits.put(IrsLimits(year=2025, max_401k=Decimal(24500)))
        assert len({digest(store), store.plan_snapshot("NEW", "Weekly", 2026).digest}) == 2
        assert store.plan_snapshot("ACME", "Weekly", 2025).digest != digest(store)

    def test_a_snapshot_needs_a_pipeline_and_limits(self, store: Store) -> None:
        fill(store)
        with pytest.raises(LimitsNotFoundError, match="2027"):
            store.plan_snapshot("ACME", "Weekly", 2027)
        with pytest.raises(PipelineNotFoundError, match="CLIENT#ACME_Monthly"):
            store.plan_snapshot("ACME", "Monthly", 2026)

    def test_a_snapshot_sees_the_rules_of_other_programs(self, store: Store, raw_put: RawPut) -> None:
        fill(store)
        raw_put(table(store, VALIDATION_RULE), wire("CATEGORY#THEIRS", "RULE#1"))
        raw_put(table(store, VALIDATION_RULE), wire("CATEGORY#OWN#CLIENT#ACME", "RULE#1"))
        assert {"THEIRS", "OWN"} <= store.plan_snapshot("ACME", "Weekly", 2026).validation_rules.keys()

    def test_a_snapshot_refuses_two_rules_of_one_number(self, store: Store, raw_put: RawPut) -> None:
        fill(store)
        raw_put(table(store, VALIDATION_RULE), wire("CATEGORY#SSN", "RULE#1"))
        with pytest.raises(ItemDecodeError, match="same number"):
            store.plan_snapshot("ACME", "Weekly", 2026)
