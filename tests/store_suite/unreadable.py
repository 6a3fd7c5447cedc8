"""Items that cannot be read as their entities: whoever means that very item can write over it, and can delete it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from bluestar_store.errors import ItemDecodeError, PlanOnHoldError, VersionConflictError
from bluestar_store.keys import Key
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.models.audit import Trail
from bluestar_store.models.batches import BatchState, BatchStatus
from bluestar_store.models.calculation import CALCULATION_RULE, CalculationRule
from bluestar_store.models.config import ACH_CONFIG, CLIENT_CONFIG, AchConfig, ClientConfig
from bluestar_store.models.holds import HOLD_GUARD, PLAN_HOLD, PlanHold
from bluestar_store.models.limits import IRS_LIMITS, IrsLimits
from bluestar_store.models.pipeline import PIPELINE_STEP, PipelineStep
from bluestar_store.models.validation import VALIDATION_RULE, ValidationRule
from bluestar_store.models.vendor import VENDOR_SCHEMA, VendorSchema
from bluestar_store.protocols import ANY
from bluestar_store.store import Store
from tests.store_suite.side_door import BeforeWrite, RawChange, RawGet, RawPut, table, wire


class Broken(NamedTuple):
    """An entity as it should be, its key, what is wrong on disk (and what is not), and how it is read."""

    mapper: Mapper[Any]
    entity: Entity
    key: Key
    bad: dict[str, Any]
    read: Callable[[Store], object]


LIST = {"L": [{"S": "x"}]}
BROKEN: dict[str, Broken] = {
    "a rule": Broken(
        CALCULATION_RULE,
        CalculationRule(plan_id="ACME", calc_type="match", max_pct=Decimal(5)),
        Key("CLIENT#ACME", "CALC#match"),
        {"max_pct": {"S": "abc"}, "age_threshold": {"N": "1.5"}},
        lambda store: store.calculation_rules.get("ACME", "match", fresh=True),
    ),
    "a validation rule": Broken(
        VALIDATION_RULE,
        ValidationRule(category="SSN", number=7, message="x"),
        Key("CATEGORY#SSN", "RULE#7"),
        {"enabled": {"S": "yes"}},
        lambda store: store.validation_rules.at_level("SSN", fresh=True)[0],
    ),
    "limits": Broken(
        IRS_LIMITS,
        IrsLimits(year=2026, max_401k=Decimal(24500)),
        Key("YEAR#2026", "LIMITS"),
        {"max_401k": {"S": "$24,500"}},
        lambda store: store.irs_limits.get(2026, fresh=True),
    ),
    "a configuration": Broken(
        CLIENT_CONFIG,
        ClientConfig(plan_id="ACME", pay_freq="Weekly", custodian="B"),
        Key("CLIENT#ACME_Weekly", "CONFIG"),
        {"custodian": LIST},
        lambda store: store.client_configs.get("ACME", "Weekly", fresh=True),
    ),
    "a bank account": Broken(
        ACH_CONFIG,
        AchConfig(plan_id="ACME", pay_freq="Weekly", account_number="123456789012"),
        Key("CLIENT#ACME_Weekly", "ACH"),
        {"account_number": {"N": "999988887777"}},
        lambda store: store.ach_configs.get("ACME", "Weekly", fresh=True),
    ),
    "a schema": Broken(
        VENDOR_SCHEMA,
        VendorSchema(vendor_id="ADP", fingerprint="f1", columns=("a",)),
        Key("VENDOR#ADP", "SCHEMA#f1"),
        {"created": {"S": "some day"}},
        lambda store: store.vendor_schemas.get("ADP", "f1", fresh=True),
    ),
    "a hold": Broken(
        PLAN_HOLD,
        PlanHold(plan_id="ACME", hold_id="h1", reason="x"),
        Key("PLAN#ACME", "HOLD#h1"),
        {"created": {"S": "some day"}},
        lambda store: store.holds.get("ACME", "h1"),
    ),
}
FOREIGN: dict[str, Any] = {"vestingTiers": {"L": [{"N": "1.5"}]}}


class UnreadableTests:
    """Another program's words where the library needs a number, a time, or yes and no."""

    @staticmethod
    def _put(store: Store, raw_put: RawPut, what: str) -> Broken:
        broken = BROKEN[what]
        raw_put(table(store, broken.mapper), wire(*broken.key) | broken.bad | FOREIGN)
        with pytest.raises(ItemDecodeError) as caught:
            broken.read(store)
        assert caught.value.attribute in broken.bad
        return broken

    @pytest.mark.parametrize("expected", [None, ANY], ids=["none", "any"])
    @pytest.mark.parametrize("what", BROKEN)
    def test_it_can_be_written_over_and_the_rest_of_it_stays(
        self, store: Store, raw_put: RawPut, raw_get: RawGet, what: str, expected: Any
    ) -> None:
        kind, entity, key, bad, read = self._put(store, raw_put, what)
        repository: Any = store.holds if kind is PLAN_HOLD else store.repository(kind)
        written: Entity = repository.put(entity, expected=expected)
        found = read(store)
        assert isinstance(found, Entity)
        assert dict(found) == dict(entity) == dict(written)
        item = raw_get(table(store, kind), key) or {}
        assert written.origin is not None
        assert {**written.origin.wire} == item
        assert item["vestingTiers"] == FOREIGN["vestingTiers"]
        assert not any(item.get(name) == value for name, value in bad.items())

    @pytest.mark.every_engine
    @pytest.mark.parametrize("what", BROKEN)
    def test_it_can_be_deleted(self, store: Store, raw_put: RawPut, raw_get: RawGet, what: str) -> None:
        kind, entity, key, _, _ = self._put(store, raw_put, what)
        repository: Any = store.holds if kind is PLAN_HOLD else store.repository(kind)
        repository.delete(entity)
        assert raw_get(table(store, kind), key) is None

    @pytest.mark.every_engine
    @pytest.mark.parametrize("what", [what for what, broken in BROKEN.items() if broken.mapper.rule_list])
    def test_what_can_be_read_of_it_is_written_over_that_very_item_only(
        self, store: Store, raw_put: RawPut, raw_get: RawGet, change: RawChange, what: str
    ) -> None:
        kind, entity, key, bad, _ = self._put(store, raw_put, what)
        repository = store.repository(kind)
        (found,) = repository.current([entity], salvage=True).values()
        assert found.extra.keys() == FOREIGN.keys()
        change(table(store, kind), key, **{next(iter(bad)): {"S": "others"}})
        for write in (repository.put, repository.delete):
            with pytest.raises(VersionConflictError) as caught:
                write(found)
            assert caught.value.attribute in bad
        (found,) = repository.current([entity], salvage=True).values()
        stored = repository.put(found.model_copy(update=dict(entity)))
        assert dict(stored) == dict(entity)
        assert (raw_get(table(store, kind), key) or {})["vestingTiers"] == FOREIGN["vestingTiers"]

    @pytest.mark.parametrize(
        "bad", [{"created": {"S": "some day"}}, {"released": {"S": "yes"}, "reason": LIST}], ids=str
    )
    def test_a_hold_that_cannot_be_read_holds_and_can_be_released(
        self, store: Store, raw_put: RawPut, bad: dict[str, Any]
    ) -> None:
        raw_put(table(store, PLAN_HOLD), wire("PLAN#ACME", "HOLD#h1", batch_id="b1") | bad)
        with pytest.raises(ItemDecodeError, match="bluestar-store hold release ACME h1"):
            store.holds.for_plan("ACME")
        with pytest.raises(PlanOnHoldError) as refused:
            store.batches.put(BatchState(batch_id="b2", plan_id="ACME", status=BatchStatus.RUNNING))
        assert refused.value.hold_ids == ("h1",)
        released = store.holds.release("ACME", "h1", actor="pat")
        assert (released.batch_id, released.released_by, released.is_open) == ("b1", "pat", False)
        assert store.holds.for_plan("ACME") == (released,)
        store.batches.put(BatchState(batch_id="b2", plan_id="ACME", status=BatchStatus.RUNNING))

    def test_several_holds_that_cannot_be_read_are_released_one_by_one_beside_others(
        self, store: Store, raw_put: RawPut
    ) -> None:
        for hold_id in ("h1", "h2"):
            raw_put(table(store, PLAN_HOLD), wire("PLAN#ACME", f"HOLD#{hold_id}", created="some day"))
        assert store.holds.place("ACME", "x", hold_id="h3").is_open
        for hold_id in ("h3", "h1", "h2"):
            with pytest.raises(PlanOnHoldError):
                store.batches.put(BatchState(batch_id="b2", plan_id="ACME", status=BatchStatus.RUNNING))
            assert not store.holds.release("ACME", hold_id).is_open
        assert (
            store.batches.put(BatchState(batch_id="b2", plan_id="ACME", status=BatchStatus.RUNNING)).plan_id == "ACME"
        )

    def test_a_guard_of_holds_that_cannot_be_read_is_counted_anew(
        self, store: Store, change: RawChange, raw_get: RawGet
    ) -> None:
        store.holds.release("ACME", store.holds.place("ACME", "x").hold_id)
        place = table(store, HOLD_GUARD), Key("GUARD#ACME", "HOLDS")
        broken: tuple[dict[str, Any], ...] = (
            {"open_holds": {"S": "none"}},
            {"open_holds": {"N": "0.5"}, "version": LIST},
        )
        for bad in broken:
            change(*place, **bad)
            hold = store.holds.place("ZED", "x")  # of another plan
            batch = store.batches.put(BatchState(batch_id=hold.hold_id, plan_id="ACME", status=BatchStatus.RUNNING))
            assert batch.status is BatchStatus.RUNNING
            assert (raw_get(*place) or {})["open_holds"] == {"N": "0"}

    @pytest.mark.parametrize("what", ["a rule", "a bank account"])
    def test_its_trail_tells_what_it_was_and_shows_no_bank_number(
        self, store: Store, raw_put: RawPut, what: str
    ) -> None:
        mapper, entity, key, _, _ = self._put(store, raw_put, what)
        store.repository(mapper).put(entity)
        store.repository(mapper).delete(entity)
        trail = Trail(table=mapper.table, partition=key.pk)
        put, delete = store.audit.entries(trail)
        assert (put.action, delete.action) == ("put", "delete")
        assert put.details is not None
        assert delete.details is not None
        assert put.details["digest_before"]
        assert put.details["digest_after"] == delete.details["digest_before"]
        assert put.details["digest_before"] != put.details["digest_after"]
        if what == "a rule":
            assert put.details["changed"]["max_pct"] == {"before": "abc", "after": Decimal(5)}
        assert "99998888" not in str(dict(put.details))
        assert store.audit.verify(trail) == ()

    @pytest.mark.every_engine
    def test_one_that_changes_between_the_look_and_the_write_is_looked_at_again(
        self, store: Store, raw_put: RawPut, raw_get: RawGet, change: RawChange, before_write: BeforeWrite
    ) -> None:
        mapper, entity, key, _, _ = self._put(store, raw_put, "a rule")
        before_write(lambda: change(table(store, mapper), key, max_pct={"S": "others"}, description=LIST))
        store.repository(mapper).put(entity)
        assert dict(store.calculation_rules.get("ACME", "match", fresh=True)) == dict(entity)
        entry = store.audit.entries(Trail(table=mapper.table, partition=key.pk))[-1]
        assert (entry.details or {})["changed"]["max_pct"]["before"] == "others"

    @pytest.mark.parametrize("how", ["replace", "remove", "replace what is left", "put"])
    def test_a_step_too(self, store: Store, raw_put: RawPut, raw_get: RawGet, how: str) -> None:
        steps = [PipelineStep(plan_id="ACME", pay_freq="Weekly", step_order=n, agent="A") for n in (1, 2)]
        store.pipelines.replace("ACME", "Weekly", steps)
        key = Key("CLIENT#ACME_Weekly", "STEP#0002")
        item = raw_get(name := table(store, PIPELINE_STEP), key) or {}
        raw_put(name, item | {"timeoutSeconds": {"S": "long"}, "stepOrder": {"N": "9"}})
        with pytest.raises(ItemDecodeError, match="bluestar-store pipeline replace ACME Weekly FILE"):
            store.pipelines.steps("ACME", "Weekly", fresh=True)
        left = store.pipelines.stored_steps("ACME", "Weekly")
        assert [(step.step_order, step.timeout_seconds) for step in left] == [(1, None), (2, None)]
        if how == "replace":
            store.pipelines.replace("ACME", "Weekly", steps)
        elif how == "replace what is left":
            store.pipelines.replace("ACME", "Weekly", left, known=left)
        elif how == "put":
            store.pipelines.put(steps[1])
        else:
            store.pipelines.remove("ACME", "Weekly", known=left)
        found = store.pipelines.steps("ACME", "Weekly", fallback=False, fresh=True)
        assert found == (() if how == "remove" else tuple(steps))

    @pytest.mark.every_engine
    @pytest.mark.parametrize("version", [{"S": "1"}, {"N": "1.5"}, {"NULL": True}], ids=["text", "fraction", "null"])
    @pytest.mark.parametrize("write", ["put", "delete"])
    def test_one_whose_version_is_none_is_written_over_by_who_says_so(
        self, store: Store, raw_put: RawPut, raw_get: RawGet, before_write: BeforeWrite, version: Any, write: str
    ) -> None:
        name, key = table(store, CALCULATION_RULE), Key("CLIENT#ACME", "CALC#match")
        raw_put(name, wire(*key, version=version, formula="x"))
        rule = CalculationRule(plan_id="ACME", calc_type="match", formula="y")
        before_write(lambda: raw_put(name, wire(*key, version={"S": "2"}, formula="z")))
        getattr(store.calculation_rules, write)(rule, expected=ANY)
        if write == "delete":
            assert raw_get(name, key) is None
        else:
            found = store.calculation_rules.get("ACME", "match", fresh=True)
            assert (found, found.version) == (rule, 1)

    def test_the_error_names_the_commands_that_mend_it(self, store: Store, raw_put: RawPut) -> None:
        raw_put(table(store, CALCULATION_RULE), wire("CLIENT#ACME CO", "CALC#match", max_pct="abc"))
        with pytest.raises(ItemDecodeError) as caught:
            store.calculation_rules.get("ACME CO", "match")
        assert str(caught.value).endswith(
            "; `bluestar-store rule set 'ACME CO' match KEY=VALUE` or "
            "`bluestar-store rule delete 'ACME CO' match` mends it"
        )
