"""What agents leave behind: batches, holds, results, claims and trails."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from bluestar_store.errors import BatchNotFoundError, HoldNotFoundError, VersionConflictError
from bluestar_store.models.audit import AUDIT_ENTRY, AuditEntry, Trail
from bluestar_store.models.batches import BATCH_STATE, STEP_CLAIM, STEP_RESULT, BatchState, BatchStatus
from bluestar_store.models.holds import PLAN_HOLD, PlanHold
from bluestar_store.store import Store
from bluestar_store.testing.side_door import RawGet, RawPut, table, wire

DAY = timedelta(days=1)
START = datetime(2026, 1, 5, 8, 30, tzinfo=UTC)


class RecordTests:
    """See DESIGN 2, batch-state and processing-metadata."""

    def test_a_plans_batches_are_listed_newest_first(self, store: Store) -> None:
        for number, offset in enumerate((2, 0, 3, 1)):
            store.batches.put(BatchState(batch_id=f"b{number}", plan_id="ACME", created=START + offset * DAY))
        store.batches.put(BatchState(batch_id="other", plan_id="ACMEX", created=START))
        store.batches.put(BatchState(batch_id="undated", plan_id="ACME"))
        assert [batch.batch_id for batch in store.batches.for_plan("ACME")] == ["b2", "b0", "b3", "b1", "undated"]
        assert store.batches.for_plan("NEW") == ()

    def test_a_batch_of_another_program_takes_its_place_in_the_list(self, store: Store, raw_put: RawPut) -> None:
        store.batches.put(BatchState(batch_id="ours", plan_id="ACME", created=START))
        for batch_id, created in (("older", "2026-01-04"), ("newer", "2026-01-06T00:00:00Z")):
            raw_put(table(store, BATCH_STATE), wire(f"BATCH#{batch_id}", "STATE", plan_id="ACME", created=created))
        found = store.batches.for_plan("ACME")
        assert [batch.batch_id for batch in found] == ["newer", "ours", "older"]

    def test_a_batch_is_found_where_it_says_now_and_not_where_it_said(self, store: Store) -> None:
        batch = store.batches.put(BatchState(batch_id="b", plan_id="ACME", created=START))
        moved = store.batches.put(batch.model_copy(update={"plan_id": "ZED", "created": START + DAY}))
        assert (store.batches.for_plan("ACME"), store.batches.for_plan("ZED")) == ((), (moved,))
        store.batches.delete(moved)
        assert store.batches.for_plan("ZED") == ()

    def test_a_batchs_state_is_checked_and_kept(self, store: Store) -> None:
        batch = store.batches.put(BatchState(batch_id="b", plan_id="ACME", status=BatchStatus.RECEIVED, year=2026))
        running = store.batches.put(batch.model_copy(update={"status": BatchStatus.RUNNING, "current_step": 100}))
        assert store.batches.get("b") == running
        assert running.status is BatchStatus.RUNNING
        with pytest.raises(VersionConflictError):
            store.batches.put(batch.model_copy(update={"status": BatchStatus.FAILED}))
        with pytest.raises(BatchNotFoundError, match="'none'"):
            store.batches.get("none")

    def test_open_holds_are_those_not_released_oldest_first(self, store: Store) -> None:
        late = store.holds.put(PlanHold(plan_id="ACME", hold_id="a", created=START + DAY, reason="Missing data"))
        early = store.holds.put(PlanHold(plan_id="ACME", hold_id="b", created=START))
        other = store.holds.put(PlanHold(plan_id="ZED", hold_id="b", created=START + 2 * DAY))
        gone = store.holds.put(PlanHold(plan_id="ZED", hold_id="c", created=START))
        assert store.holds.open("ACME") == (early, late)
        assert store.holds.all_open() == (*sorted((early, gone), key=lambda hold: hold.plan_id), late, other)
        released = store.holds.put(early.model_copy(update={"released": START + DAY, "released_by": "ops"}))
        store.holds.delete(gone)
        assert store.holds.open("ACME") == (late,)
        assert store.holds.all_open() == (late, other)
        assert store.holds.for_plan("ACME") == (released, late)
        assert store.holds.get("ACME", "b") == released
        assert not released.is_open

    def test_a_released_hold_leaves_the_index_and_comes_back_when_it_is_opened_again(
        self, store: Store, raw_get: RawGet
    ) -> None:
        hold = store.holds.put(PlanHold(plan_id="ACME", hold_id="h", created=START))
        assert hold.origin is not None
        name, key = table(store, PLAN_HOLD), hold.origin.key
        released = store.holds.put(hold.model_copy(update={"released": START}))
        assert not {"bs_open", "bs_open_created"} & (raw_get(name, key) or {}).keys()
        store.holds.put(released.model_copy(update={"released": None}))
        assert {"bs_open", "bs_open_created"} <= (raw_get(name, key) or {}).keys()
        assert len(store.holds.all_open()) == 1

    def test_a_hold_that_is_not_there_is_not_found(self, store: Store) -> None:
        with pytest.raises(HoldNotFoundError, match=r"'h'.*'ACME'"):
            store.holds.get("ACME", "h")
        assert (store.holds.open("ACME"), store.holds.all_open()) == ((), ())

    def test_results_and_claims_of_a_batch_are_read_by_step(self, store: Store, raw_put: RawPut) -> None:
        name = table(store, STEP_RESULT)
        document: dict[str, Any] = {"M": {"total": {"N": "10.50"}, "rows": {"L": [{"N": "1"}]}}}
        raw_put(name, wire("BATCH#b", "RESULT#0200", result=document, saved="2026-01-05T08:30:00+00:00"))
        raw_put(name, wire("BATCH#b", "RESULT#10000"))
        raw_put(name, wire("BATCH#b", "RESULT#300"))
        raw_put(table(store, STEP_CLAIM), wire("BATCH#b", "CLAIM#0200", worker="w1", fence={"N": "3"}))
        raw_put(table(store, BATCH_STATE), wire("BATCH#b", "STATE"))
        assert [result.step for result in store.results.for_batch("b")] == [200, 300, 10000]
        assert store.results.get("b", 300).step == 300
        assert store.results.get("b", 200).result == {"total": Decimal("10.5"), "rows": (Decimal(1),)}
        assert [(claim.step, claim.worker, claim.fence) for claim in store.claims.for_batch("b")] == [(200, "w1", 3)]
        assert store.results.for_batch("none") == ()
        with pytest.raises(BatchNotFoundError, match="400"):
            store.results.get("b", 400)

    def test_a_trail_has_its_own_entries_by_number(self, store: Store, raw_put: RawPut) -> None:
        name = table(store, AUDIT_ENTRY)
        for pk in ("BATCH#b", "TRAIL#irs-limits#YEAR#2026"):
            for number in (2, 10, 1):
                raw_put(name, wire(pk, f"AUDIT#{number}", actor=pk))
        raw_put(name, wire("BATCH#b", "CHAIN", seq={"N": "10"}))

        def entries(trail: Trail) -> list[tuple[int, str | None]]:
            found: tuple[AuditEntry, ...] = store.audit.entries(trail)
            return [(entry.seq, entry.actor) for entry in found]

        assert entries(Trail(batch_id="b")) == [(number, "BATCH#b") for number in (1, 2, 10)]
        trail = Trail(table="irs-limits", partition="YEAR#2026")
        assert entries(trail) == [(number, "TRAIL#irs-limits#YEAR#2026") for number in (1, 2, 10)]
        assert entries(Trail(batch_id="none")) == []
