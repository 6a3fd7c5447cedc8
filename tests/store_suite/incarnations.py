"""Whoever writes over what was read writes over that very item: not another of its name, nor another content."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from itertools import count
from typing import Any, TypeAlias

import pytest

from bluestar_store.errors import VersionConflictError
from bluestar_store.keys import Key
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.models.audit import Trail
from bluestar_store.models.batches import STEP_CLAIM
from bluestar_store.models.calculation import CALCULATION_RULE, CalculationRule
from bluestar_store.models.config import ACH_CONFIG, AchConfig
from bluestar_store.models.holds import PLAN_HOLD
from bluestar_store.models.pipeline import PIPELINE_STEP, PipelineStep
from bluestar_store.protocols import ANY
from bluestar_store.store import Store
from tests.store_suite.side_door import BeforeWrite, RawChange, RawGet, table

KEY = Key("CLIENT#ACME", "CALC#match")
RULE = CalculationRule(plan_id="ACME", calc_type="match", formula="x", max_pct=Decimal(6))
STEP = PipelineStep(plan_id="ACME", pay_freq="Weekly", step_order=1, agent="x")
PLACE = Key("CLIENT#ACME_Weekly", "STEP#0001")
NULL = {"NULL": True}
CHANGES: dict[str, dict[str, Any]] = {
    "another value": {"formula": {"S": "theirs"}},
    "another number": {"max_pct": {"N": "7"}},
    "a value that came": {"description": {"S": "theirs"}},
    "a NULL that came": {"description": NULL},
    "a value that went": {"formula": None},
    "a value that became NULL": {"max_pct": NULL},
}
"""What a program that counts no versions did to a rule."""
OTHERS: dict[str, dict[str, Any]] = {
    "came": {"vestingTiers": {"L": [{"N": "1.5"}]}},
    "changed": {"note": {"S": "new"}},
    "went": {"note": None},
}
"""What other programs did to attributes of their own on it."""


Written: TypeAlias = tuple[Mapper[Any], Key, Callable[[], Any]]
"""What is to be written over: its kind, its key, and the call."""


def _a_rule(store: Store) -> Written:
    read = store.calculation_rules.put(RULE)
    return CALCULATION_RULE, KEY, lambda: store.calculation_rules.put(read.model_copy(update={"formula": "y"}))


def _a_step(store: Store) -> Written:
    (read,) = store.pipelines.replace("ACME", "Weekly", [STEP])
    return PIPELINE_STEP, PLACE, lambda: store.pipelines.put(read.model_copy(update={"agent": "y"}))


def _a_pipeline(store: Store) -> Written:
    (read,) = store.pipelines.replace("ACME", "Weekly", [STEP])
    changed = read.model_copy(update={"agent": "y"})
    return PIPELINE_STEP, PLACE, lambda: store.pipelines.replace("ACME", "Weekly", [changed], known=[read])[0]


def _a_hold(store: Store) -> Written:
    store.holds.place("ACME", reason="x", hold_id="h")
    return PLAN_HOLD, Key("PLAN#ACME", "HOLD#h"), lambda: store.holds.release("ACME", "h")


def _a_claim(store: Store) -> Written:
    claim = store.claims.claim("b", 1, "w", 60)
    return STEP_CLAIM, Key("BATCH#b", "CLAIM#0001"), lambda: store.claims.heartbeat(claim, 90)


WRITES: dict[str, Callable[[Store], Written]] = {
    "a rule": _a_rule,
    "a step": _a_step,
    "a pipeline": _a_pipeline,
    "a hold": _a_hold,
    "a claim": _a_claim,
}


class IncarnationTests:
    """A versioned write, and an item that was made again, or changed by a program that counts no versions."""

    @pytest.mark.parametrize("write", ["put", "delete"])
    def test_an_item_that_was_made_again_is_another_one(self, store: Store, write: str) -> None:
        store.calculation_rules.put(RULE)
        read = store.calculation_rules.get("ACME", "match", fresh=True)
        store.calculation_rules.delete(read)
        again = RULE.model_copy(update={"formula": "y"})
        made = store.calculation_rules.put(again, actor="pat")
        assert made.version == read.version == 1
        with pytest.raises(VersionConflictError) as caught:
            getattr(store.calculation_rules, write)(read)
        error = caught.value
        assert (error.expected, error.found, error.attribute, error.written_by) == (1, 1, "formula", "pat")
        assert "formula" in str(error)
        assert "'pat'" in str(error)
        assert store.calculation_rules.get("ACME", "match", fresh=True) == again

    @pytest.mark.every_engine
    @pytest.mark.parametrize("write", ["put", "delete"])
    @pytest.mark.parametrize("what", CHANGES)
    def test_a_change_by_a_program_that_counts_no_versions_is_a_conflict(
        self, store: Store, raw_get: RawGet, change: RawChange, write: str, what: str
    ) -> None:
        read = store.calculation_rules.put(RULE, actor="pat")
        change(name := table(store, CALCULATION_RULE), KEY, **CHANGES[what])
        theirs = raw_get(name, KEY)
        with pytest.raises(VersionConflictError) as caught:
            getattr(store.calculation_rules, write)(read)
        (attribute,) = CHANGES[what]
        assert (caught.value.attribute, caught.value.written_by) == (attribute, None)
        assert raw_get(name, KEY) == theirs

    @pytest.mark.every_engine
    @pytest.mark.parametrize("what", ["another value", "a NULL that came", "a value that went"])
    def test_one_that_comes_between_the_look_and_the_write_is_a_conflict_too(
        self, store: Store, raw_get: RawGet, change: RawChange, before_write: BeforeWrite, what: str
    ) -> None:
        read, name = store.calculation_rules.put(RULE), table(store, CALCULATION_RULE)
        before_write(lambda: change(name, KEY, **CHANGES[what]))
        with pytest.raises(VersionConflictError) as caught:
            store.calculation_rules.put(read.model_copy(update={"age_threshold": 50}))
        assert [caught.value.attribute] == list(CHANGES[what])
        assert "age_threshold" not in (raw_get(name, KEY) or {})

    def test_within_a_unit_of_work_it_is_told_at_the_commit(
        self, store: Store, raw_get: RawGet, change: RawChange
    ) -> None:
        read, name = store.calculation_rules.put(RULE), table(store, CALCULATION_RULE)
        other = RULE.model_copy(update={"calc_type": "other"})
        with pytest.raises(VersionConflictError) as caught, store.unit_of_work() as uow:
            uow.calculation_rules.put(other)
            uow.calculation_rules.put(read.model_copy(update={"max_pct": Decimal(1)}))
            change(name, KEY, formula={"S": "theirs"})
        assert caught.value.attribute == "formula"
        assert raw_get(name, Key(KEY.pk, "CALC#other")) is None

    def test_an_item_can_be_written_twice_within_a_unit_of_work(self, store: Store) -> None:
        read = store.calculation_rules.put(RULE)
        with store.unit_of_work() as uow:
            second = uow.calculation_rules.put(read.model_copy(update={"max_pct": Decimal(1)}))
            uow.calculation_rules.put(second.model_copy(update={"formula": None}))
        assert dict(store.calculation_rules.get("ACME", "match")) == dict(RULE) | {"max_pct": 1, "formula": None}

    @pytest.mark.every_engine
    @pytest.mark.parametrize("when", ["before", "between"])
    @pytest.mark.parametrize("what", OTHERS)
    def test_attributes_of_other_programs_may_change_and_what_is_told_is_what_is_stored(
        self,
        store: Store,
        raw_get: RawGet,
        change: RawChange,
        before_write: BeforeWrite,
        what: str,
        when: str,
    ) -> None:
        name = table(store, CALCULATION_RULE)
        store.calculation_rules.put(RULE)
        change(name, KEY, note={"S": "old"})
        read = store.calculation_rules.get("ACME", "match", fresh=True)
        if when == "before":
            change(name, KEY, **OTHERS[what])
        elif what != "came":  # what comes in that moment nobody can expect not to be there
            before_write(lambda: change(name, KEY, **OTHERS[what]))
        written = store.calculation_rules.put(read.model_copy(update={"formula": "y"}))
        stored = raw_get(name, KEY) or {}
        assert written.origin is not None
        assert written.origin.item == stored
        assert written == store.calculation_rules.get("ACME", "match", fresh=True)
        entry = store.audit.entries(Trail(table="calculation-rules", partition=KEY.pk))[-1]
        assert dict((entry.details or {})["changed"]) == {"formula": {"before": "x", "after": "y"}}

    @pytest.mark.every_engine
    @pytest.mark.parametrize("write", WRITES)
    def test_what_another_program_adds_between_look_and_write_stays(
        self, store: Store, raw_get: RawGet, change: RawChange, before_write: BeforeWrite, write: str
    ) -> None:
        """No condition says that there are no other attributes: what is told is what was there without it."""
        kind, key, act = WRITES[write](store)
        name, added = table(store, kind), {"vestingTiers": {"L": [{"N": "1.5"}]}}
        before = raw_get(name, key) or {}
        before_write(lambda: change(name, key, **added))
        written = act()
        stored = raw_get(name, key) or {}
        assert stored["vestingTiers"] == added["vestingTiers"]
        assert stored != before | added
        assert written.origin is not None
        assert {**written.origin.item, **added} == stored

    @pytest.mark.every_engine
    def test_one_who_keeps_changing_attributes_of_its_own_stops_nobody(
        self, store: Store, raw_get: RawGet, change: RawChange, before_write: BeforeWrite
    ) -> None:
        name, numbers = table(store, CALCULATION_RULE), count()
        store.calculation_rules.put(RULE)
        change(name, KEY, counter={"N": "-1"})
        read = store.calculation_rules.get("ACME", "match", fresh=True)
        before_write(lambda: change(name, KEY, counter={"N": str(next(numbers))}), times=float("inf"))
        store.calculation_rules.put(read.model_copy(update={"formula": "y"}))
        assert (raw_get(name, KEY) or {})["formula"] == {"S": "y"}
        assert (raw_get(name, KEY) or {})["counter"] == {"N": str(next(numbers) - 1)}

    def test_the_librarys_own_attributes_may_change(
        self, store: Store, change: RawChange, before_write: BeforeWrite
    ) -> None:
        read, name = store.calculation_rules.put(RULE), table(store, CALCULATION_RULE)
        change(name, KEY, bs_kind=None, bs_level=None)
        before_write(lambda: change(name, KEY, bs_kind={"S": "x"}, bs_other={"S": "y"}))
        assert store.calculation_rules.put(read.model_copy(update={"formula": "y"})).version == 2

    def test_a_fresh_put_looks_again_when_something_came_between(
        self, store: Store, change: RawChange, before_write: BeforeWrite
    ) -> None:
        store.calculation_rules.put(RULE)
        before_write(lambda: change(table(store, CALCULATION_RULE), KEY, description={"S": "theirs"}))
        store.calculation_rules.put(RULE.model_copy(update={"formula": "y"}), expected=ANY)
        assert store.calculation_rules.get("ACME", "match", fresh=True).description is None

    def test_no_conflict_shows_a_bank_number(self, store: Store, change: RawChange) -> None:
        read = store.ach_configs.put(AchConfig(plan_id="ACME", pay_freq="Weekly", account_number="123456789012"))
        change(table(store, ACH_CONFIG), Key("CLIENT#ACME_Weekly", "ACH"), account_number={"S": "999956789012"})
        with pytest.raises(VersionConflictError) as caught:
            store.ach_configs.put(read)
        assert caught.value.attribute == "account_number"
        assert "56789012" not in str(caught.value) + repr(caught.value)
