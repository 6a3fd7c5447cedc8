"""What a change of a rule leaves behind: who changed what, and how it was before."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from bluestar_store import seeding
from bluestar_store.errors import InvalidEntityError
from bluestar_store.mapping.canonical import canonical, digest
from bluestar_store.models.audit import AuditEntry, Trail
from bluestar_store.models.calculation import CALCULATION_RULE, CalculationRule
from bluestar_store.models.config import ACH_CONFIG, AchConfig
from bluestar_store.models.limits import IrsLimits
from bluestar_store.models.pipeline import PipelineStep
from bluestar_store.protocols import AttributeValue
from bluestar_store.rulesets.loading import LOADS
from bluestar_store.store import Store
from tests.store_suite.side_door import RawPut, table, wire

RULES = Trail(table="calculation-rules", partition="CLIENT#ACME")


def rule(max_pct: int, calc_type: str = "match") -> CalculationRule:
    return CalculationRule(plan_id="ACME", calc_type=calc_type, max_pct=Decimal(max_pct))


def details(entry: AuditEntry) -> dict[str, Any]:
    assert entry.details is not None
    return dict(entry.details)


class TrailTests:
    """The trail that each change of a rule leaves."""

    isolated_transactions = True

    @pytest.mark.every_engine
    def test_every_change_of_a_rule_leaves_an_entry(self, store: Store) -> None:
        made = store.calculation_rules.put(rule(4))
        changed = store.calculation_rules.put(made.model_copy(update={"max_pct": Decimal(5)}))
        store.calculation_rules.delete(changed)
        entries = store.audit.entries(RULES)
        assert [entry.action for entry in entries] == ["create", "put", "delete"]
        digests = [None, digest(canonical(made)), digest(canonical(changed)), None]
        for number, entry in enumerate(entries):
            found = details(entry)
            assert found["item"] == "CALC#match"
            assert (found["digest_before"], found["digest_after"]) == (digests[number], digests[number + 1])
        assert details(entries[1])["changed"] == {"max_pct": {"before": Decimal(4), "after": Decimal(5)}}
        assert store.audit.verify(RULES) == ()

    def test_an_entry_names_who_wrote(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(store.sessions, "actor", "ops")
        store.irs_limits.put(IrsLimits(year=2026))
        (entry,) = store.audit.entries(Trail(table="irs-limits", partition="YEAR#2026"))
        assert (entry.actor, entry.action) == ("ops", "create")

    def test_no_bank_number_is_in_an_entry(self, store: Store) -> None:
        made = store.ach_configs.put(
            AchConfig(plan_id="ACME", pay_freq="Weekly", account_number="123456789", routing_number="021000021")
        )
        store.ach_configs.put(made.model_copy(update={"account_number": "987654321"}))
        entries = store.audit.entries(Trail(table="agent-config", partition="CLIENT#ACME_Weekly"))
        assert details(entries[1])["changed"] == {"account_number": {"before": "*****6789", "after": "*****4321"}}
        assert "12345" not in repr(details(entries[0]))
        assert "0210000" not in repr(details(entries[0]))

    def test_what_another_program_put_beside_bank_numbers_is_in_no_entry(self, store: Store, raw_put: RawPut) -> None:
        others = {"depositNo": {"S": "998877665544"}, "bank": {"M": {"number": {"N": "1112223334"}}}}
        raw_put(table(store, ACH_CONFIG), wire("CLIENT#ACME_Weekly", "ACH", bank_id="first", **others))
        store.ach_configs.delete(AchConfig(plan_id="ACME", pay_freq="Weekly"))
        (entry,) = store.audit.entries(Trail(table="agent-config", partition="CLIENT#ACME_Weekly"))
        assert details(entry)["changed"]["bank_id"] == {"before": "first"}
        assert details(entry)["changed"]["depositNo"] == {"before": "********5544"}
        assert "11122" not in repr(entry.details)

    @pytest.mark.every_engine
    def test_a_change_that_is_too_long_for_an_entry_is_told_by_digest_or_number(
        self, store: Store, raw_put: RawPut
    ) -> None:
        if not self.isolated_transactions:
            pytest.skip("moto counts the item that an update replaces, too")
        before, after = "x" * 210_000, "y" * 210_000
        made = store.calculation_rules.put(rule(4).model_copy(update={"description": before}))
        store.calculation_rules.put(made.model_copy(update={"description": after}))
        told = details(store.audit.entries(RULES)[1])["changed"]["description"]
        assert told["before"] == {"digest": digest(before), "bytes": Decimal(len(before) + 2)}
        assert told["after"]["digest"] == digest(after)

        many = {f"other{number:05}": {"S": "z" * 20} for number in range(6_000)}
        raw_put(table(store, CALCULATION_RULE), wire("CLIENT#ACME", "CALC#loan", **many))
        store.calculation_rules.delete(rule(4, "loan"))
        found = details(store.audit.entries(RULES)[2])
        assert "changed" not in found
        assert found["changed_attributes"] == len(many)
        assert store.audit.verify(RULES) == ()

    @pytest.mark.every_engine
    @pytest.mark.parametrize("levels", [27, 28, 31])
    def test_a_value_that_is_too_deep_for_an_entry_is_told_by_digest(
        self, store: Store, raw_put: RawPut, levels: int
    ) -> None:
        value: AttributeValue = {"S": "deep"}
        for _ in range(levels):
            value = {"L": [value]}
        raw_put(table(store, CALCULATION_RULE), wire("CLIENT#ACME", "CALC#loan", theirs=value))
        store.calculation_rules.delete(rule(4, "loan"))
        (entry,) = store.audit.entries(RULES)
        assert ("digest" in details(entry)["changed"]["theirs"]["before"]) == (levels > 27)
        assert store.audit.verify(RULES) == ()

    def test_a_change_that_is_not_written_leaves_no_entry(self, store: Store) -> None:
        with pytest.raises(InvalidEntityError):
            store.calculation_rules.put(rule(4).model_copy(update={"max_pct": "much"}))
        with pytest.raises(ZeroDivisionError), store.unit_of_work():
            store.calculation_rules.put(rule(4))
            raise ZeroDivisionError
        store.calculation_rules.delete(rule(4))  # there is none
        assert store.audit.entries(RULES) == ()

    def test_the_replacement_of_a_pipeline_is_one_entry(self, store: Store) -> None:
        steps = [PipelineStep(plan_id="ACME", pay_freq="Weekly", step_order=n, agent="A") for n in (1, 2, 3)]
        stored = store.pipelines.replace("ACME", "Weekly", steps)
        store.pipelines.replace("ACME", "Weekly", stored[:2])
        store.pipelines.remove("ACME", "Weekly")
        trail = Trail(table="processing-pipeline", partition="CLIENT#ACME_Weekly")
        entries = store.audit.entries(trail)
        assert [entry.action for entry in entries] == ["replace", "replace", "remove"]
        counts = [(details(entry)["steps_before"], details(entry)["steps_after"]) for entry in entries]
        assert counts == [(0, 3), (3, 2), (2, 0)]
        assert store.audit.verify(trail) == ()

    @pytest.mark.every_engine
    def test_a_bulk_load_is_one_entry_with_the_digest_of_the_rule_set(self, store: Store) -> None:
        rule_set = seeding.RuleSet((rule(4), IrsLimits(year=2026)))
        seeding.load(store, rule_set)
        seeding.load(store, rule_set)  # writes nothing
        seeding.load(store, seeding.RuleSet((rule(5),)), overwrite=True)
        first, second = store.audit.entries(LOADS)
        assert details(first)["writes"] == {"add": 2}
        assert details(second)["writes"] == {"change": 1}
        assert details(first)["rule_set"] != details(second)["rule_set"]
        assert store.audit.entries(RULES) == ()
        store.calculation_rules.put(rule(6))
        assert len(store.audit.entries(RULES)) == 1
