"""Who writes: the `actor` of the call, else the setting's, in trails and on items."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from bluestar_store import seeding
from bluestar_store.errors import BlueStarError, InvalidEntityError
from bluestar_store.mapping.entity import Entity
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.models.audit import CHAIN_HEAD, Trail
from bluestar_store.models.batches import BATCH_RULES, BATCH_STATE, STEP_CLAIM, STEP_RESULT, BatchState, BatchStatus
from bluestar_store.models.calculation import CalculationRule
from bluestar_store.models.config import AchConfig, ClientConfig
from bluestar_store.models.holds import HOLD_GUARD, PLAN_HOLD, PlanHold
from bluestar_store.models.limits import IrsLimits
from bluestar_store.models.pipeline import PipelineStep
from bluestar_store.models.validation import ValidationRule
from bluestar_store.models.vendor import VendorSchema
from bluestar_store.protocols import ACTOR, scan_pages
from bluestar_store.rulesets.loading import LOADS
from bluestar_store.store import Store
from tests.store_suite.side_door import RawGet, in_thread, table

RULE = CalculationRule(plan_id="ACME", calc_type="match", max_pct=Decimal(4))
RULES = Trail(table="calculation-rules", partition="CLIENT#ACME")
PIPELINE = Trail(table="processing-pipeline", partition="CLIENT#ACME_Weekly")
STEPS = [PipelineStep(plan_id="ACME", pay_freq="Weekly", step_order=n, agent="A") for n in (1, 2)]

ONE_OF_EACH: dict[str, Entity] = {
    "calculation_rules": RULE,
    "validation_rules": ValidationRule(category="SSN", plan_id="ACME", number=1),
    "irs_limits": IrsLimits(year=2026),
    "client_configs": ClientConfig(plan_id="ACME", pay_freq="Weekly"),
    "ach_configs": AchConfig(plan_id="ACME", pay_freq="Weekly"),
    "vendor_schemas": VendorSchema(vendor_id="ADP", fingerprint="f1"),
}
"""What is written by `put` and `delete`, by the name of its repository."""

Write = Callable[[Store, Any], object]


def _put(name: str) -> Write:
    return lambda store, actor: getattr(store, name).put(ONE_OF_EACH[name], actor=actor)


FIRST_WRITES: dict[str, Write] = {
    **{f"{name}.put": _put(name) for name in ONE_OF_EACH},
    "calculation_rules.delete": lambda store, actor: store.calculation_rules.delete(RULE, actor=actor),
    "pipelines.replace": lambda store, actor: store.pipelines.replace("ACME", "Weekly", STEPS, actor=actor),
    "pipelines.remove": lambda store, actor: store.pipelines.remove("ACME", "Weekly", actor=actor),
    "pipelines.put": lambda store, actor: store.pipelines.put(STEPS[0], actor=actor),
    "holds.put": lambda store, actor: store.holds.put(PlanHold(plan_id="ACME", hold_id="h1"), actor=actor),
    "holds.delete": lambda store, actor: store.holds.delete(PlanHold(plan_id="ACME", hold_id="h1"), actor=actor),
    "holds.place": lambda store, actor: store.holds.place("ACME", "Missing data", actor=actor),
    "holds.release": lambda store, actor: store.holds.release("ACME", "h1", actor=actor),
    "batches.put": lambda store, actor: store.batches.put(BatchState(batch_id="b1"), actor=actor),
    "batches.start": lambda store, actor: store.batches.start("ACME", "Weekly", 2026, actor=actor),
    "claims.claim": lambda store, actor: store.claims.claim("b1", 1, "w", 60, actor=actor),
    "results.save": lambda store, actor: store.results.save("b1", 1, {"rows": 1}, actor=actor),
    "audit.append": lambda store, actor: store.audit.append("b1", action="noted", actor=actor),
    "seeding.load": lambda store, actor: seeding.load(store, seeding.RuleSet((RULE,)), actor=actor),
}
"""Calls that write and need nothing that was written before, or are refused before they miss it."""

NO_ACTORS = ("", "x" * 201, "\ud800", 7, b"pat")


def prepared(store: Store) -> None:
    """What it takes to start a batch."""
    store.irs_limits.put(IrsLimits(year=2026))
    store.pipelines.replace("ACME", "Weekly", STEPS)


class ActorTests:
    """Who wrote: on items, in trails, of every kind of write."""

    @pytest.mark.parametrize("name", ONE_OF_EACH)
    def test_the_actor_of_a_call_is_in_its_entry_and_on_its_item(self, name: str, store: Store) -> None:
        repository, entity = getattr(store, name), ONE_OF_EACH[name]
        made = repository.put(entity, actor="ann")
        trail = Trail(table=repository.mapper.table, partition=made.origin.key.pk)
        (stored,) = repository.current([entity]).values()
        assert (made.written_by, stored.written_by) == ("ann", "ann")
        changed = repository.put(made, actor="bob")
        (stored,) = repository.current([entity]).values()
        assert (changed.written_by, stored.written_by) == ("bob", "bob")
        repository.delete(changed, actor="cid")
        written = [(entry.action, entry.actor, entry.written_by) for entry in store.audit.entries(trail)]
        assert written == [("create", "ann", "ann"), ("put", "bob", "bob"), ("delete", "cid", "cid")]
        assert store.audit.verify(trail) == ()

    def test_each_way_to_write_a_pipeline_says_who(self, store: Store) -> None:
        made = store.pipelines.replace("ACME", "Weekly", STEPS, actor="ann")
        store.pipelines.put(made[0].model_copy(update={"agent": "B"}), actor="bob")
        found = store.pipelines.steps("ACME", "Weekly", fresh=True)
        assert [step.written_by for step in found] == ["bob", "ann"]
        store.pipelines.replace("ACME", "Weekly", STEPS[:1], actor="cid")
        assert [step.written_by for step in store.pipelines.steps("ACME", "Weekly", fresh=True)] == ["cid"]
        store.pipelines.remove("ACME", "Weekly", actor="dan")
        written = [(entry.action, entry.actor, entry.written_by) for entry in store.audit.entries(PIPELINE)]
        assert written == [
            ("replace", "ann", "ann"),
            ("put", "bob", "bob"),
            ("replace", "cid", "cid"),
            ("remove", "dan", "dan"),
        ]

    def test_the_actor_of_a_call_comes_before_the_settings(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(store.sessions, "actor", "ops")
        made = store.calculation_rules.put(RULE, actor="ann")
        changed = store.calculation_rules.put(made)
        store.pipelines.replace("ACME", "Weekly", STEPS, actor="ann")
        store.pipelines.replace("ACME", "Weekly", STEPS)
        assert (made.written_by, changed.written_by) == ("ann", "ops")
        for trail in (RULES, PIPELINE):
            assert [entry.actor for entry in store.audit.entries(trail)] == ["ann", "ops"]

    def test_nobody_is_blamed_for_a_write_without_an_actor(self, store: Store) -> None:
        made = store.calculation_rules.put(RULE, actor="ann")
        assert store.calculation_rules.put(made).written_by is None
        assert [entry.actor for entry in store.audit.entries(RULES)] == ["ann", None]

    def test_within_a_unit_of_work_each_call_has_its_own_actor(
        self, store: Store, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(store.sessions, "actor", "ops")
        with store.unit_of_work() as uow:
            made = uow.calculation_rules.put(RULE, actor="ann")
            uow.calculation_rules.put(made.model_copy(update={"max_pct": Decimal(5)}), actor="bob")
            uow.pipelines.replace("ACME", "Weekly", STEPS, actor="cid")
            limits = uow.irs_limits.put(IrsLimits(year=2026))
            uow.audit.append("b1", action="noted", actor="dan")
        (rule,) = store.calculation_rules.current([RULE]).values()
        assert (rule.written_by, limits.written_by) == ("bob", "ops")
        assert [step.written_by for step in store.pipelines.steps("ACME", "Weekly")] == ["cid", "cid"]
        trails = (RULES, PIPELINE, Trail(table="irs-limits", partition="YEAR#2026"), "b1")
        found = [[(entry.actor, entry.written_by) for entry in store.audit.entries(trail)] for trail in trails]
        assert found == [[("ann", "ann"), ("bob", "bob")], [("cid", "cid")], [("ops", "ops")], [("dan", "dan")]]
        assert [store.audit.verify(trail) for trail in trails] == [()] * 4

    def test_a_unit_that_is_made_again_still_says_who(self, store: Store) -> None:
        with store.unit_of_work():
            store.calculation_rules.put(RULE, actor="ann")
            store.pipelines.replace("ACME", "Weekly", STEPS, actor="bob")
            other = RULE.model_copy(update={"calc_type": "cap"})
            in_thread(lambda: store.calculation_rules.put(other, actor="cid"))  # takes the trail's first number
        (rule,) = store.calculation_rules.current([RULE]).values()
        assert rule.written_by == "ann"
        assert [step.written_by for step in store.pipelines.steps("ACME", "Weekly")] == ["bob", "bob"]
        assert [entry.actor for entry in store.audit.entries(RULES)] == ["cid", "ann"]
        assert [entry.actor for entry in store.audit.entries(PIPELINE)] == ["bob"]

    def test_the_ends_of_trails_say_who_appended(self, store: Store, raw_get: RawGet) -> None:
        store.audit.append("b1", action="noted", actor="ann")
        store.pipelines.replace("ACME", "Weekly", STEPS, actor="bob")
        assert _actor_of(store, raw_get, CHAIN_HEAD, batch_id="b1", table=None, partition=None) == "ann"
        named = {"batch_id": None, "table": PIPELINE.table, "partition": PIPELINE.partition}
        assert _actor_of(store, raw_get, CHAIN_HEAD, **named) == "bob"

    def test_what_agents_write_of_a_batch_says_who(self, store: Store, raw_get: RawGet) -> None:
        prepared(store)
        batch = store.batches.start("ACME", "Weekly", 2026, "b1", actor="ann")
        assert _actor_of(store, raw_get, BATCH_STATE, batch_id="b1") == batch.written_by == "ann"
        assert _actor_of(store, raw_get, BATCH_RULES, batch_id="b1") == "ann"
        batch = store.batches.advance(batch, status=BatchStatus.RUNNING, step=1, actor="bob")
        assert _actor_of(store, raw_get, BATCH_STATE, batch_id="b1") == batch.written_by == "bob"
        claim = store.claims.claim(batch, 1, "worker", 60, actor="cid")
        assert _actor_of(store, raw_get, STEP_CLAIM, batch_id="b1", step=1) == claim.written_by == "cid"
        claim = store.claims.heartbeat(claim, 60, actor="dan")
        assert _actor_of(store, raw_get, STEP_CLAIM, batch_id="b1", step=1) == claim.written_by == "dan"
        result = store.results.save(batch, 1, {"rows": 1}, claim, actor="eve")
        assert _actor_of(store, raw_get, STEP_RESULT, batch_id="b1", step=1) == result.written_by == "eve"
        store.claims.release(claim, actor="fay")
        assert _actor_of(store, raw_get, STEP_CLAIM, batch_id="b1", step=1) == "fay"

    def test_the_actor_places_and_releases_a_hold_and_changes_its_guard(self, store: Store, raw_get: RawGet) -> None:
        placed = store.holds.place("ACME", "Missing data", hold_id="h1", actor="ann")
        assert (placed.created_by, placed.written_by) == ("ann", "ann")
        assert _actor_of(store, raw_get, HOLD_GUARD, plan_id="ACME") == "ann"
        released = store.holds.release("ACME", "h1", actor="bob")
        assert (released.created_by, released.released_by, released.written_by) == ("ann", "bob", "bob")
        assert _actor_of(store, raw_get, HOLD_GUARD, plan_id="ACME") == "bob"
        changed = store.holds.put(released.model_copy(update={"reason": "Late"}), actor="cid")
        assert _actor_of(store, raw_get, PLAN_HOLD, plan_id="ACME", hold_id="h1") == changed.written_by == "cid"
        assert _actor_of(store, raw_get, HOLD_GUARD, plan_id="ACME") == "cid"
        store.holds.delete(changed, actor="dan")
        assert _actor_of(store, raw_get, HOLD_GUARD, plan_id="ACME") == "dan"

    def test_who_asked_for_a_hold_may_be_another_than_who_writes_it(self, store: Store) -> None:
        placed = store.holds.place("ACME", "Late", hold_id="h1", created_by="sponsor", actor="ann")
        assert (placed.created_by, placed.written_by) == ("sponsor", "ann")
        released = store.holds.release("ACME", "h1", released_by="sponsor", actor="bob")
        assert (released.released_by, released.written_by) == ("sponsor", "bob")

    @pytest.mark.every_engine
    def test_a_bulk_load_says_who_in_its_one_entry_and_on_each_item(self, store: Store) -> None:
        seeding.load(store, seeding.RuleSet((RULE, *STEPS)), actor="ann")
        assert {found.written_by for found in store.overrides("ACME")} == {"ann"}
        fewer = seeding.RuleSet((RULE.model_copy(update={"max_pct": Decimal(5)}), STEPS[0]))
        seeding.load(store, fewer, overwrite=True, actor="bob")
        assert {found.written_by for found in store.overrides("ACME")} == {"bob"}
        assert [(entry.actor, entry.written_by) for entry in store.audit.entries(LOADS)] == [
            ("ann", "ann"),
            ("bob", "bob"),
        ]
        assert store.audit.entries(RULES) == store.audit.entries(PIPELINE) == ()

    @pytest.mark.parametrize("write", FIRST_WRITES)
    def test_an_actor_that_the_setting_could_not_be_is_refused_and_nothing_written(
        self, write: str, store: Store
    ) -> None:
        prepared(store)
        before = _everything(store)
        for actor in NO_ACTORS:
            with pytest.raises(InvalidEntityError, match=r"^actor "):
                FIRST_WRITES[write](store, actor)
        assert _everything(store) == before

    def test_a_refused_actor_leaves_a_batch_and_a_claim_as_they_are(self, store: Store) -> None:
        prepared(store)
        batch = store.batches.start("ACME", "Weekly", 2026, "b1")
        claim = store.claims.claim(batch, 1, "worker", 60)
        before = _everything(store)
        writes: list[Callable[[], object]] = [
            lambda: store.batches.advance(batch, step=1, actor=""),
            lambda: store.claims.heartbeat(claim, 60, actor=""),
            lambda: store.claims.release(claim, actor=""),
        ]
        for refused in writes:
            with pytest.raises(InvalidEntityError, match=r"^actor "):
                refused()
        assert _everything(store) == before

    def test_a_refused_actor_leaves_the_unit_of_work_as_it_was(self, store: Store) -> None:
        with store.unit_of_work():
            store.calculation_rules.put(RULE, actor="x" * 200)
            with pytest.raises(BlueStarError):
                store.irs_limits.put(IrsLimits(year=2026), actor="x" * 201)
        assert store.calculation_rules.get("ACME", "match").written_by == "x" * 200
        assert store.irs_limits.all() == ()


def _actor_of(store: Store, raw_get: RawGet, mapper: Mapper[Any], **identity: Any) -> str | None:
    """Who wrote an item last, as it says itself."""
    item = raw_get(table(store, mapper), mapper.keys.build(identity))
    assert item is not None
    return item[ACTOR]["S"] if ACTOR in item else None


def _everything(store: Store) -> list[str]:
    """Every item of the Store."""
    names = [spec.name for spec in store.tables.specs()]
    return sorted(repr(item) for name in names for items in scan_pages(store.engine, name) for item in items)
