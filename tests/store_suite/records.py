"""What agents leave behind: batches, holds, results, claims and trails."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from bluestar_store.errors import BatchNotFoundError, HoldNotFoundError, InvalidKeyError, VersionConflictError
from bluestar_store.models.audit import AUDIT_ENTRY, AuditEntry, Trail
from bluestar_store.models.batches import BATCH_STATE, STEP_CLAIM, STEP_RESULT, BatchState, BatchStatus
from bluestar_store.models.free_form import FREE_RESULT
from bluestar_store.models.holds import PLAN_HOLD, PlanHold
from bluestar_store.store import Store
from tests.store_suite.side_door import RawGet, RawPut, table, wire, without_indexes

DAY = timedelta(days=1)
START = datetime(2026, 1, 5, 8, 30, tzinfo=UTC)


def dated(batch_id: str, days: float) -> BatchState:
    return BatchState(batch_id=batch_id, plan_id="ACME", created=START + days * DAY)


def all_pages(store: Store, plan_id: str, limit: int | None) -> tuple[BatchState, ...]:
    """A plan's batches, read page after page."""
    page = store.batches.for_plan(plan_id, limit=limit)
    found = page.batches
    while page.cursor is not None:
        assert len(page) == limit
        page = store.batches.for_plan(plan_id, limit=limit, cursor=page.cursor)
        found += page.batches
    return found


class RecordTests:
    """Items of the tables batch-state and processing-metadata."""

    @pytest.mark.every_engine
    def test_a_plans_batches_are_listed_newest_first(self, store: Store) -> None:
        for number, offset in enumerate((2, 0, 3, 1)):
            store.batches.put(BatchState(batch_id=f"b{number}", plan_id="ACME", created=START + offset * DAY))
        store.batches.put(BatchState(batch_id="other", plan_id="ACMEX", created=START))
        store.batches.put(BatchState(batch_id="undated", plan_id="ACME"))
        assert [batch.batch_id for batch in store.batches.for_plan("ACME")] == ["b2", "b0", "b3", "b1", "undated"]
        assert store.batches.for_plan("NEW").batches == ()

    def test_a_batch_of_another_program_takes_its_place_in_the_list(self, store: Store, raw_put: RawPut) -> None:
        store.batches.put(BatchState(batch_id="ours", plan_id="ACME", created=START))
        for batch_id, created in (("older", "2026-01-04"), ("newer", "2026-01-06T00:00:00Z")):
            raw_put(table(store, BATCH_STATE), wire(f"BATCH#{batch_id}", "STATE", plan_id="ACME", created=created))
        found = store.batches.for_plan("ACME")
        assert [batch.batch_id for batch in found] == ["newer", "ours", "older"]

    @pytest.mark.every_engine
    def test_pages_are_the_whole_list_in_its_order(self, store: Store, raw_put: RawPut) -> None:
        name = table(store, BATCH_STATE)
        for number in range(4):
            store.batches.put(dated(f"ours{number}", number))
            created = f"2026-01-{5 + number:02d}T20:00:00Z"
            raw_put(name, wire(f"BATCH#theirs{number}", "STATE", plan_id="ACME", created=created))
        raw_put(name, wire("BATCH#undated", "STATE", plan_id="ACME"))
        raw_put(name, wire("BATCH#other", "STATE", plan_id="ZED", created="2026-01-06"))
        ordered = [f"{whose}{number}" for number in (3, 2, 1, 0) for whose in ("theirs", "ours")]
        for limit in (1, 2, 3, 9, 10, None):
            assert [batch.batch_id for batch in all_pages(store, "ACME", limit)] == [*ordered, "undated"]
        with store.unit_of_work():
            store.batches.put(dated("new", 9))
            assert [batch.batch_id for batch in all_pages(store, "ACME", 2)] == ["new", *ordered, "undated"]

    @pytest.mark.every_engine
    def test_what_is_started_moved_or_gone_between_pages_shifts_no_other(self, store: Store, raw_put: RawPut) -> None:
        for number in range(6):
            store.batches.put(dated(f"b{number}", number))
        for batch_id in ("theirs", "last"):
            created = "2026-01-08T20:00:00Z" if batch_id == "theirs" else "2026-01-01"
            raw_put(table(store, BATCH_STATE), wire(f"BATCH#{batch_id}", "STATE", plan_id="ACME", created=created))
        page, found = store.batches.for_plan("ACME", limit=1), list[str]()
        for number in range(3):
            found += [batch.batch_id for batch in page]
            store.batches.put(dated(f"new{number}", 9 + number))
            store.batches.delete(store.batches.get(found[-1]))  # where the cursor is
            page = store.batches.for_plan("ACME", limit=1, cursor=page.cursor)
        assert found == ["b5", "b4", "theirs"]
        for batch in page:  # from now on the index has it
            store.batches.put(store.batches.get("last").model_copy(update={"year": 2026}))
            store.batches.put(batch.model_copy(update={"year": 2026}))
        rest = store.batches.for_plan("ACME", cursor=page.cursor)
        assert [batch.batch_id for batch in (*page, *rest)] == ["b3", "b2", "b1", "b0", "last"]

    @pytest.mark.every_engine
    def test_a_batch_that_gets_into_the_index_between_pages_is_not_listed_again(
        self, store: Store, raw_put: RawPut
    ) -> None:
        store.batches.put(dated("ours", 0))
        for batch_id in ("b", "c", "d"):
            raw_put(table(store, BATCH_STATE), wire(f"BATCH#{batch_id}", "STATE", plan_id="ACME", created="2026-01-04"))
        page = store.batches.for_plan("ACME", limit=3)
        assert [batch.batch_id for batch in page] == ["ours", "d", "c"]
        for batch in page:
            store.batches.put(batch.model_copy(update={"year": 2026}))
        assert [batch.batch_id for batch in store.batches.for_plan("ACME", cursor=page.cursor)] == ["b"]

    @pytest.mark.every_engine
    def test_pages_do_without_the_index(self, store: Store) -> None:
        without_indexes(store)
        for number in range(5):
            store.batches.put(dated(f"b{number}", number))
        assert [batch.batch_id for batch in all_pages(store, "ACME", 2)] == ["b4", "b3", "b2", "b1", "b0"]

    def test_a_state_in_another_programs_own_words_hides_no_batch_and_is_not_hidden(
        self, store: Store, raw_put: RawPut
    ) -> None:
        name = table(store, BATCH_STATE)
        for number in range(4):
            indexed = store.batches.put(dated(f"b{number}", number))
        for number, own in enumerate(({"status": "DONE"}, {"current_step": "first"}, {"version": "theirs"})):
            created = f"2026-01-{5 + number:02d}T20:00:00Z"
            raw_put(name, wire(f"BATCH#theirs{number}", "STATE", plan_id="ACME", created=created, **own))
        raw_put(name, wire("BATCH#undated", "STATE", plan_id="ACME", created="yesterday"))
        raw_put(name, wire("BATCH#other", "STATE", plan_id="ZED", status="DONE"))
        assert indexed.origin is not None
        raw_put(name, indexed.origin.item | {"status": {"S": "DONE"}})  # which the index has
        page = store.batches.for_plan("ACME")
        assert [batch.batch_id for batch in page] == ["b2", "b1", "b0"]
        theirs = ["b3", "theirs2", "theirs1", "theirs0", "undated"]
        assert [free.batch_id for free in page.free_states] == theirs
        assert page.free_states[3].state == {"plan_id": "ACME", "created": "2026-01-05T20:00:00Z", "status": "DONE"}
        for limit in (1, 2, 3):
            assert [batch.batch_id for batch in all_pages(store, "ACME", limit)] == ["b2", "b1", "b0"]
        found, cursor = list[str](), None
        for _ in range(3):
            page = store.batches.for_plan("ACME", limit=1, cursor=cursor)
            found += [free.batch_id for free in page.free_states]
            cursor = page.cursor
        assert (found, cursor) == (theirs, None)

    def test_a_cursor_is_good_for_its_plan_only(self, store: Store) -> None:
        for number in range(2):
            store.batches.put(dated(f"b{number}", number))
        cursor = store.batches.for_plan("ACME", limit=1).cursor
        assert cursor is not None
        for plan_id, wrong in (("ZED", cursor), ("ACME", cursor[:-8]), ("ACME", "b1"), ("ACME", "\N{SNOWMAN}")):
            with pytest.raises(InvalidKeyError, match="cursor does not belong"):
                store.batches.for_plan(plan_id, limit=1, cursor=wrong)
        with pytest.raises(ValueError, match="limit must be at least 1"):
            store.batches.for_plan("ACME", limit=0)

    def test_a_batch_is_found_where_it_says_now_and_not_where_it_said(self, store: Store, raw_put: RawPut) -> None:
        batch = store.batches.put(BatchState(batch_id="b", plan_id="ACME", created=START))
        assert batch.origin is not None
        raw_put(table(store, BATCH_STATE), batch.origin.item | {"plan_id": {"S": "ZED"}})  # the index says ACME still
        assert store.batches.for_plan("ACME").batches == ()
        moved = store.batches.put(store.batches.get("b").model_copy(update={"created": START + DAY}))
        assert [store.batches.for_plan(plan).batches for plan in ("ACME", "ZED")] == [(), (moved,)]
        store.batches.delete(moved)
        assert store.batches.for_plan("ZED").batches == ()

    def test_a_batchs_state_is_checked_and_kept(self, store: Store) -> None:
        batch = store.batches.put(BatchState(batch_id="b", plan_id="ACME", status=BatchStatus.RECEIVED, year=2026))
        running = store.batches.put(batch.model_copy(update={"status": BatchStatus.RUNNING, "current_step": 100}))
        assert store.batches.get("b") == running
        assert running.status is BatchStatus.RUNNING
        with pytest.raises(VersionConflictError):
            store.batches.put(batch.model_copy(update={"status": BatchStatus.FAILED}))
        with pytest.raises(BatchNotFoundError, match="'none'"):
            store.batches.get("none")

    @pytest.mark.every_engine
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

    @pytest.mark.every_engine
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

    @pytest.mark.every_engine
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

    def test_what_old_programs_keep_of_a_batch_by_other_keys_breaks_no_read(
        self, store: Store, raw_put: RawPut
    ) -> None:
        name = table(store, STEP_RESULT)
        raw_put(name, wire("BATCH#b", "STATE"))
        for sk in ("RESULT#match_step", "RESULT#", "CLAIM#worker", "AUDIT#2024-01-15T08:30:00Z", "AUDIT#"):
            raw_put(name, wire("BATCH#b", sk, version="theirs", rows={"N": "3"}))
        result = store.results.save("b", 1, {"rows": 1})
        claim = store.claims.claim("b", 1, "w1", 60)
        store.audit.append("b", action="checked")
        assert (store.results.for_batch("b"), store.results.get("b", 1)) == ((result,), result)
        assert (store.claims.for_batch("b"), store.claims.get("b", 1)) == ((claim,), claim)
        entries = store.audit.entries("b")
        assert ([entry.action for entry in entries], store.audit.verify("b")) == (["checked"], ())
        history = store.batches.history("b")
        assert (history.results, history.claims, history.audit) == ((result,), (claim,), entries)
        kept = {"version": "theirs", "rows": Decimal(3)}
        assert [(one.batch_id, one.step, one.result) for one in history.free_results] == [("b", "match_step", kept)]

    def test_a_result_that_an_agent_of_the_drop_in_saved_comes_before_an_old_one_of_its_name(
        self, store: Store, raw_put: RawPut
    ) -> None:
        name = table(store, FREE_RESULT)
        raw_put(name, wire("BATCH#b", "STATE"))
        raw_put(name, wire("BATCH#b", "RESULT#match", rows={"N": "1"}))
        raw_put(name, wire("BATCH#b", "FREE#RESULT#match", result={"M": {"rows": {"N": "2"}}}))
        (found,) = store.batches.history("b").free_results
        assert found.result == {"rows": Decimal(2)}

    @pytest.mark.every_engine
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
