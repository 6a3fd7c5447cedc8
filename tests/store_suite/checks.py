"""What a unit of work only read: its commit is refused when that is not so any more, however it is spelled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest

from bluestar_store.errors import AlreadyExistsError, ConflictError, VersionConflictError
from bluestar_store.keys import DEFAULT, GLOBAL, Key
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.models.calculation import CALCULATION_RULE, CalculationRule
from bluestar_store.models.config import ACH_CONFIG, CLIENT_CONFIG, AchConfig, ClientConfig
from bluestar_store.models.pipeline import PIPELINE_STEP, PipelineStep
from bluestar_store.models.validation import VALIDATION_RULE, ValidationRule
from bluestar_store.protocols import Delete
from bluestar_store.store import Store
from tests.store_suite.side_door import BeforeWrite, RawChange, RawPut, in_thread, table, wire

OTHER = CalculationRule(plan_id="OTHER", calc_type="match", max_pct=Decimal(4))
"""What is written in the unit."""
NUMBERED: dict[str, tuple[Mapper[Any], Entity, Key]] = {
    "rule": (
        VALIDATION_RULE,
        ValidationRule(category="SSN", plan_id="ACME", number=7),
        Key("CATEGORY#SSN#CLIENT#ACME", "RULE#007"),
    ),
    "step": (
        PIPELINE_STEP,
        PipelineStep(plan_id="ACME", pay_freq="Weekly", step_order=7),
        Key("CLIENT#ACME_Weekly", "STEP#0007"),
    ),
}
"""Entities whose sort keys end with a number, and the key that the library builds."""


def _steps(plan_id: str) -> list[PipelineStep]:
    return [PipelineStep(plan_id=plan_id, pay_freq="Weekly", step_order=n, agent="A") for n in (1, 2)]


def _rules(store: Store, plan_id: str) -> None:
    store.calculation_rules.put(CalculationRule(plan_id=plan_id, calc_type="match", max_pct=Decimal(1)))


def _validation(store: Store, plan_id: str) -> None:
    store.validation_rules.put(ValidationRule(category="SSN", plan_id=plan_id, number=7))


def _pipeline(store: Store, plan_id: str) -> None:
    store.pipelines.replace(plan_id, "Weekly", _steps(plan_id))


def _config(store: Store, plan_id: str) -> None:
    store.client_configs.put(ClientConfig(plan_id=plan_id, pay_freq="Weekly", custodian="B"))


def _ach(store: Store, plan_id: str) -> None:
    store.ach_configs.put(AchConfig(plan_id=plan_id, pay_freq="Weekly", bank_id="B"))


Inherited = tuple[Mapper[Any], str, Callable[[Store, str], None], Callable[[Store], Sequence[Entity]], Key, Key]
INHERITED: dict[str, Inherited] = {
    "rule": (
        CALCULATION_RULE,
        GLOBAL,
        _rules,
        lambda store: [store.calculation_rules.get("ACME", "match")],
        Key("CLIENT#GLOBAL", "CALC#match"),
        Key("CLIENT#ACME", "CALC#match"),
    ),
    "validation rules": (
        VALIDATION_RULE,
        GLOBAL,
        _validation,
        lambda store: store.validation_rules.for_category("SSN", "ACME"),
        Key("CATEGORY#SSN", "RULE#007"),
        Key("CATEGORY#SSN#CLIENT#ACME", "RULE#7"),
    ),
    "steps": (
        PIPELINE_STEP,
        DEFAULT,
        _pipeline,
        lambda store: store.pipelines.steps("ACME", "Weekly"),
        Key("CLIENT#DEFAULT_Weekly", "STEP#0002"),
        Key("CLIENT#ACME_Weekly", "STEP#30"),
    ),
    "one step": (
        PIPELINE_STEP,
        DEFAULT,
        _pipeline,
        lambda store: store.pipelines.steps("ACME", "Weekly")[:1],
        Key("CLIENT#DEFAULT_Weekly", "STEP#0001"),
        Key("CLIENT#ACME_Weekly", "STEP#0002"),
    ),
    "configuration": (
        CLIENT_CONFIG,
        DEFAULT,
        _config,
        lambda store: [store.client_configs.get("ACME", "Weekly")],
        Key("CLIENT#DEFAULT_Weekly", "CONFIG"),
        Key("CLIENT#ACME_Weekly", "CONFIG"),
    ),
    "ACH configuration": (
        ACH_CONFIG,
        DEFAULT,
        _ach,
        lambda store: [store.ach_configs.get("ACME", "Weekly")],
        Key("CLIENT#DEFAULT_Weekly", "ACH"),
        Key("CLIENT#ACME_Weekly", "ACH"),
    ),
}
"""What a plan inherits: its kind, from where, how a level gets one, how it is read, its item, and one of the plan's."""


class CheckTests:
    """`uow.check`."""

    @pytest.mark.parametrize(
        ("digits", "when"), [(1, "before"), (2, "between"), (6, "between"), (1, "at the commit"), (3, "at the commit")]
    )  # at the commit no condition says that there is nothing under wider keys
    @pytest.mark.parametrize("what", NUMBERED)
    def test_what_was_absent_is_there_whatever_the_width_of_the_number_in_its_key(
        self, store: Store, raw_put: RawPut, before_write: BeforeWrite, what: str, digits: int, when: str
    ) -> None:
        kind, absent, key = NUMBERED[what]
        item = wire(key.pk, f"{key.sk.partition('#')[0]}#{7:0{digits}d}")
        if when == "at the commit":
            before_write(lambda: raw_put(table(store, kind), item))
        if when == "before":
            raw_put(table(store, kind), item)
        with pytest.raises(AlreadyExistsError, match=r"#0*7: exists already"), store.unit_of_work() as uow:
            uow.calculation_rules.put(OTHER)
            uow.check(absent)
            if when == "between":
                raw_put(table(store, kind), item)
        assert "OTHER" not in store.plans()

    @pytest.mark.every_engine
    @pytest.mark.parametrize("how", ["changed by the library", "made again", "changed by another program"])
    def test_a_check_that_fails_names_the_attribute_and_the_writer_if_known(
        self, store: Store, change: RawChange, how: str
    ) -> None:
        read = store.calculation_rules.put(OTHER, actor="kim")
        key = Key("CLIENT#OTHER", "CALC#match")

        def meanwhile() -> None:
            if how == "changed by another program":
                change(table(store, CALCULATION_RULE), key, formula={"S": "theirs"})
                return
            if how == "made again":
                store.calculation_rules.delete(read)
            store.calculation_rules.put(OTHER.model_copy(update={"formula": "ours"}), actor="pat")

        with pytest.raises(VersionConflictError) as caught, store.unit_of_work() as uow:
            uow.check(read)
            uow.audit.append("b", action="x")
            in_thread(meanwhile)
        told = (caught.value.attribute, caught.value.written_by)
        if how == "changed by the library":
            assert told == (None, "pat")
        else:
            assert told == ("formula", "pat" if how == "made again" else None)
        assert store.audit.entries("b") == ()

    @pytest.mark.parametrize("what", NUMBERED)
    def test_what_is_absent_may_be_made_in_the_unit(self, store: Store, raw_put: RawPut, what: str) -> None:
        kind, absent, key = NUMBERED[what]
        raw_put(table(store, kind), wire(key.pk, f"{key.sk.partition('#')[0]}#8"))
        with store.unit_of_work() as uow:
            uow.check(absent)
            uow.calculation_rules.put(OTHER)
            if isinstance(absent, ValidationRule):
                uow.validation_rules.put(absent)
        assert store.calculation_rules.get("OTHER", "match") == OTHER

    @pytest.mark.parametrize("what", INHERITED)
    def test_what_a_plan_inherits_still_holds_for_it(self, store: Store, what: str) -> None:
        _, level, make, read, _, _ = INHERITED[what]
        make(store, level)
        with store.unit_of_work() as uow:
            uow.check(*read(store))
            uow.calculation_rules.put(OTHER)
        assert store.calculation_rules.get("OTHER", "match") == OTHER
        with store.unit_of_work() as uow:  # and when what is inherited was read within
            uow.check(*read(uow))
            uow.calculation_rules.delete(OTHER)
        assert store.plans() == ()

    @pytest.mark.parametrize(
        ("whose", "when"), [("the library", "between"), ("another program", "between"), ("another program", "before")]
    )
    @pytest.mark.parametrize("what", INHERITED)
    def test_what_a_plan_inherits_holds_no_more_when_it_has_its_own(
        self, store: Store, raw_put: RawPut, what: str, whose: str, when: str
    ) -> None:
        kind, level, make, read, _, own = INHERITED[what]
        make(store, level)
        inherited = read(store)

        def come() -> None:
            if whose == "the library":
                in_thread(lambda: make(store, "ACME"))
            else:
                raw_put(table(store, kind), wire(*own))

        if when == "before":
            come()
        with pytest.raises(AlreadyExistsError, match="ACME"), store.unit_of_work() as uow:
            uow.calculation_rules.put(OTHER)
            uow.check(*inherited)
            if when == "between":
                come()
        assert "OTHER" not in store.plans()

    @pytest.mark.every_engine
    @pytest.mark.parametrize("what", INHERITED)
    def test_what_comes_as_the_unit_is_sent_is_seen_too(
        self, store: Store, before_write: BeforeWrite, what: str
    ) -> None:
        _, level, make, read, _, _ = INHERITED[what]
        make(store, level)
        inherited = read(store)
        before_write(lambda: make(store, "ACME"))
        with pytest.raises(ConflictError, match="ACME"), store.unit_of_work() as uow:
            uow.calculation_rules.put(OTHER)
            uow.check(*inherited)
        assert "OTHER" not in store.plans()

    @pytest.mark.parametrize("how", ["changed", "deleted"])
    @pytest.mark.parametrize("what", INHERITED)
    def test_what_a_plan_inherits_holds_no_more_when_it_changed(
        self, store: Store, change: RawChange, what: str, how: str
    ) -> None:
        mapper, level, make, read, key, _ = INHERITED[what]
        make(store, level)
        inherited = read(store)
        with pytest.raises(VersionConflictError, match=key.pk), store.unit_of_work() as uow:
            uow.check(*inherited)
            uow.calculation_rules.put(OTHER)
            if how == "changed":
                attribute = next(name for name in mapper.compared if name not in ("plan_id", "PK", "SK"))
                change(table(store, mapper), key, **{attribute: {"S": "theirs"}})
            else:
                in_thread(lambda: store.engine.write(Delete(table(store, mapper), key)))
        assert "OTHER" not in store.plans()

    def test_a_pipeline_that_the_plan_had_and_has_no_more_is_none(self, store: Store) -> None:
        _pipeline(store, DEFAULT)
        _pipeline(store, "ACME")
        store.pipelines.remove("ACME", "Weekly")
        with store.unit_of_work() as uow:
            uow.check(*store.pipelines.steps("ACME", "Weekly"))
            uow.calculation_rules.put(OTHER)
        _pipeline(store, "ACME")
        with store.unit_of_work() as uow:
            uow.pipelines.remove("ACME", "Weekly")
            uow.check(*uow.pipelines.steps("ACME", "Weekly"))
        with store.unit_of_work() as uow:  # and it may get one in the unit that depends on its having none
            uow.check(*uow.pipelines.steps("ACME", "Weekly"))
            _pipeline(uow, "ACME")
        assert store.pipelines.steps("ACME", "Weekly", fallback=False) == tuple(_steps("ACME"))
