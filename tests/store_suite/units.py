"""Units of work: all of what is written within one, or nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextvars import copy_context
from decimal import Decimal

import pytest

from bluestar_store.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidWriteError,
    ItemDecodeError,
    RuleNotFoundError,
    VersionConflictError,
)
from bluestar_store.keys import GLOBAL
from bluestar_store.models.audit import CHAIN_HEAD, Trail
from bluestar_store.models.calculation import CALCULATION_RULE, CalculationRule
from bluestar_store.models.limits import IrsLimits
from bluestar_store.models.pipeline import PipelineStep
from bluestar_store.protocols import ABSENT
from bluestar_store.store import Store
from bluestar_store.unit_of_work import unit_of_work
from tests.store_suite.side_door import Calls, RawGet, RawPut, in_thread, table, wire


def rule(plan_id: str, max_pct: int = 4, calc_type: str = "match") -> CalculationRule:
    return CalculationRule(plan_id=plan_id, calc_type=calc_type, max_pct=Decimal(max_pct))


class Oops(Exception):
    """What a block raises."""


class UnitTests:
    """Several changes in one transaction, and what is read within it."""

    @pytest.mark.every_engine
    def test_a_unit_is_one_write_of_all_or_nothing(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        calls = Calls.of(store, monkeypatch)
        with store.unit_of_work() as uow:
            uow.calculation_rules.put(rule("ACME"))
            uow.irs_limits.put(IrsLimits(year=2026, max_401k=Decimal(24500)))
            assert "write" not in calls
        assert calls.count("write") == 1
        assert store.calculation_rules.get("ACME", "match").max_pct == 4
        assert store.irs_limits.get(2026).max_401k == Decimal(24500)

    @pytest.mark.every_engine
    def test_a_unit_may_depend_on_what_it_only_read(self, store: Store) -> None:
        read = store.calculation_rules.put(rule(GLOBAL))
        with store.unit_of_work() as uow:
            uow.check(read, rule("ACME"))
            uow.calculation_rules.put(rule("ZED"))
        store.calculation_rules.put(read.model_copy(update={"max_pct": Decimal(5)}))
        with pytest.raises(VersionConflictError), store.unit_of_work() as uow:
            uow.calculation_rules.put(rule("OTHER"))
            uow.check(read)
        store.calculation_rules.delete(store.calculation_rules.get(GLOBAL, "match"))
        with pytest.raises(VersionConflictError), store.unit_of_work() as uow:
            uow.calculation_rules.put(rule("OTHER"))
            uow.check(read)
        store.calculation_rules.put(rule("ACME"))
        with pytest.raises(AlreadyExistsError), store.unit_of_work() as uow:
            uow.calculation_rules.put(rule("OTHER"))
            uow.check(rule("ACME"))
        assert store.plans() == ("ACME", "ZED")

    @pytest.mark.every_engine
    def test_a_check_finds_what_a_program_changed_that_counts_no_versions(self, store: Store, raw_put: RawPut) -> None:
        read = store.calculation_rules.put(rule(GLOBAL))
        assert read.origin is not None
        raw_put(table(store, CALCULATION_RULE), {**read.origin.wire, "max_pct": {"N": "9"}})
        with pytest.raises(VersionConflictError, match="max_pct"), store.unit_of_work() as uow:
            uow.check(read)
            uow.calculation_rules.put(rule("OTHER"))
        assert store.plans() == ()

    def test_a_check_outside_of_a_unit_is_refused(self, store: Store) -> None:
        with pytest.raises(InvalidWriteError, match="unit of work"):
            store.check(rule("ACME"))

    def test_a_block_that_raises_leaves_nothing(self, store: Store) -> None:
        store.calculation_rules.put(rule(GLOBAL))
        with pytest.raises(Oops), store.unit_of_work() as uow:
            uow.calculation_rules.put(rule("ACME", 5))
            raise Oops
        assert store.calculation_rules.get("ACME", "match").plan_id == GLOBAL

    def test_an_inner_block_that_raises_leaves_nothing_of_the_outer_one_whoever_catches_it(self, store: Store) -> None:
        @unit_of_work(store)
        def half() -> None:
            store.calculation_rules.put(rule("ACME"))
            raise Oops

        with pytest.raises(InvalidWriteError, match="Oops") as caught, store.unit_of_work():
            with pytest.raises(Oops):
                half()
            with pytest.raises(InvalidWriteError, match="Oops"):
                store.calculation_rules.put(rule("BETA"))
        assert isinstance(caught.value.__cause__, Oops)
        assert (store.overrides("ACME"), store.overrides("BETA")) == ((), ())

        async def gathered() -> None:
            async with store.unit_of_work():
                store.calculation_rules.put(rule("BETA"))
                await asyncio.gather(asyncio.to_thread(half), return_exceptions=True)

        with pytest.raises(InvalidWriteError, match="Oops"):
            asyncio.run(gathered())
        assert (store.overrides("ACME"), store.overrides("BETA")) == ((), ())

    def test_a_call_that_is_refused_and_caught_spoils_nothing_of_its_unit(self, store: Store) -> None:
        store.calculation_rules.put(rule("ACME"))
        with store.unit_of_work():
            with pytest.raises(AlreadyExistsError):
                store.calculation_rules.put(rule("ACME"), ABSENT)
            store.calculation_rules.put(rule("BETA"))
        assert len(store.overrides("BETA")) == 1

    def test_reads_within_see_what_was_written_and_nobody_else_does(self, store: Store) -> None:
        kept = store.calculation_rules.put(rule("ACME", 4))
        store.calculation_rules.get("ACME", "match")  # it is in the cache
        seen: list[Decimal | None] = []
        with store.unit_of_work():
            store.calculation_rules.put(kept.model_copy(update={"max_pct": Decimal(5)}))
            store.calculation_rules.put(rule("ACME", 1, "cap"))
            thread = threading.Thread(target=lambda: seen.append(store.calculation_rules.get("ACME", "match").max_pct))
            thread.start()
            thread.join()
            assert store.calculation_rules.get("ACME", "match").max_pct == 5
            assert set(store.calculation_rules.all("ACME")) == {"match", "cap"}
            assert len(store.overrides("ACME")) == 2
        assert seen == [4]
        assert store.calculation_rules.get("ACME", "match").max_pct == 5

    def test_what_a_dropped_unit_read_of_its_own_is_in_no_cache(self, store: Store) -> None:
        store.calculation_rules.put(rule("ACME", 4))
        with pytest.raises(Oops), store.unit_of_work():
            store.calculation_rules.delete(rule("ACME"))
            with pytest.raises(RuleNotFoundError):
                store.calculation_rules.get("ACME", "match")
            raise Oops
        assert store.calculation_rules.get("ACME", "match").max_pct == 4

    def test_several_changes_of_one_item_are_one_write(self, store: Store) -> None:
        with store.unit_of_work():
            first = store.calculation_rules.put(rule("ACME", 4))
            store.calculation_rules.put(first.model_copy(update={"max_pct": Decimal(5), "formula": "a"}))
        assert store.calculation_rules.get("ACME", "match").formula == "a"
        with store.unit_of_work():
            found = store.calculation_rules.get("ACME", "match")
            store.calculation_rules.put(found.model_copy(update={"formula": None}))
            store.calculation_rules.delete(store.calculation_rules.get("ACME", "match"))
        with pytest.raises(RuleNotFoundError):
            store.calculation_rules.get("ACME", "match")

    @pytest.mark.every_engine
    def test_one_write_that_does_not_hold_stops_all_and_is_named(self, store: Store, raw_put: RawPut) -> None:
        read = store.calculation_rules.put(rule("ACME", 4))
        store.calculation_rules.put(read.model_copy(update={"max_pct": Decimal(5)}))
        with pytest.raises(VersionConflictError) as caught, store.unit_of_work():
            store.calculation_rules.put(rule("BETA", 1))
            store.calculation_rules.put(read.model_copy(update={"max_pct": Decimal(6)}))
        assert (caught.value.expected, caught.value.found) == (1, 2)
        assert "CLIENT#ACME" in str(caught.value)
        with pytest.raises(RuleNotFoundError):
            store.calculation_rules.get("BETA", "match")
        assert store.calculation_rules.get("ACME", "match").max_pct == 5

    @pytest.mark.every_engine
    def test_what_came_in_meanwhile_stops_a_creation(self, store: Store, raw_put: RawPut, raw_get: RawGet) -> None:
        name = table(store, CALCULATION_RULE)
        with pytest.raises(AlreadyExistsError, match="CLIENT#ACME"), store.unit_of_work():
            store.calculation_rules.put(rule("ACME", 4), ABSENT)
            raw_put(name, wire("CLIENT#ACME", "CALC#match", formula="theirs"))
        found = raw_get(name, CALCULATION_RULE.keys.build({"plan_id": "ACME", "calc_type": "match"}))
        assert found == wire("CLIENT#ACME", "CALC#match", formula="theirs")

    @pytest.mark.every_engine
    def test_a_put_that_expects_nothing_goes_over_what_came_in_meanwhile(self, store: Store, raw_put: RawPut) -> None:
        """As outside of a unit; and the trail tells what was really there before."""
        name = table(store, CALCULATION_RULE)
        for plan_id in ("ACME", "BETA"):
            with store.unit_of_work():
                store.calculation_rules.put(rule(plan_id, 4))
                store.calculation_rules.put(rule(plan_id, 1, "cap"))
                theirs = wire(f"CLIENT#{plan_id}", "CALC#match", formula="theirs", vested="yes", version={"N": "7"})
                raw_put(name, theirs)
            found = store.calculation_rules.get(plan_id, "match", fresh=True)
            assert (found.max_pct, found.extra["vested"], found.version) == (Decimal(4), "yes", 8)
            assert found.formula is None
            trail = Trail(table="calculation-rules", partition=f"CLIENT#{plan_id}")
            assert [entry.action for entry in store.audit.entries(trail)] == ["put", "create"]
            details = dict(store.audit.entries(trail)[0].details or {})
            assert details["changed"]["formula"] == {"before": "theirs"}
            assert store.audit.verify(trail) == ()

    def test_what_was_built_on_a_put_that_does_not_hold_is_a_conflict(self, store: Store) -> None:
        with pytest.raises(ConflictError, match="CLIENT#ACME"), store.unit_of_work():
            read = store.calculation_rules.put(rule("ACME", 4))
            store.calculation_rules.put(read.model_copy(update={"max_pct": Decimal(5)}))
            in_thread(lambda: store.calculation_rules.put(rule("ACME", 9)))
            store.audit.append("b", action="noted")
        assert store.calculation_rules.get("ACME", "match").max_pct == 9
        assert store.audit.entries("b") == ()

    def test_a_delete_that_expects_nothing_takes_what_came_in_meanwhile(self, store: Store) -> None:
        store.calculation_rules.put(rule("ACME", 4))
        with store.unit_of_work():
            store.calculation_rules.delete(rule("ACME"))
            in_thread(lambda: store.calculation_rules.put(rule("ACME", 9)))
        assert store.calculation_rules.all("ACME") == {}

    @pytest.mark.every_engine
    def test_a_pipeline_replaced_within_a_unit_goes_over_what_came_in_meanwhile(self, store: Store) -> None:
        def steps(*numbers: int) -> list[PipelineStep]:
            return [PipelineStep(plan_id="ACME", pay_freq="Weekly", step_order=n, agent="A") for n in numbers]

        with store.unit_of_work():
            store.pipelines.replace("ACME", "Weekly", steps(1, 2))
            in_thread(lambda: store.pipelines.replace("ACME", "Weekly", steps(2, 3)))
        assert [step.step_order for step in store.pipelines.steps("ACME", "Weekly")] == [1, 2]
        read = store.pipelines.steps("ACME", "Weekly")
        with pytest.raises(ConflictError), store.unit_of_work():
            store.pipelines.replace("ACME", "Weekly", read[:1])
            in_thread(lambda: store.pipelines.put(read[0].model_copy(update={"agent": "B"})))
        assert len(store.pipelines.steps("ACME", "Weekly")) == 2

    def test_a_hold_that_was_placed_in_a_unit_can_be_changed_in_it(self, store: Store) -> None:
        with store.unit_of_work():
            hold = store.holds.place("ACME", "Missing data", hold_id="h1")
            store.holds.put(hold.model_copy(update={"reason": "Missing hours"}))
            store.holds.release("ACME", "h1")
        assert [(hold.reason, hold.is_open) for hold in store.holds.for_plan("ACME")] == [("Missing hours", False)]

    def test_a_call_that_fails_within_a_unit_leaves_nothing_in_it(self, store: Store, raw_put: RawPut) -> None:
        head = CHAIN_HEAD.keys.build({"batch_id": None, "table": "calculation-rules", "partition": "CLIENT#ACME"})
        raw_put(table(store, CHAIN_HEAD), wire(head.pk, head.sk, seq="broken"))
        with store.unit_of_work():
            with pytest.raises(ItemDecodeError):
                store.calculation_rules.put(rule("ACME"))  # its entry cannot be made
            store.calculation_rules.put(rule("BETA"))
        assert store.calculation_rules.all("ACME") == {}
        assert set(store.calculation_rules.all("BETA")) == {"match"}

    def test_a_unit_within_another_is_a_part_of_it(self, store: Store) -> None:
        with pytest.raises(Oops), store.unit_of_work():
            with store.unit_of_work():
                store.calculation_rules.put(rule("ACME"))
            assert store.calculation_rules.get("ACME", "match").max_pct == 4
            raise Oops
        with pytest.raises(RuleNotFoundError):
            store.calculation_rules.get("ACME", "match")

    def test_more_than_100_items_are_refused_before_anything_is_sent(self, store: Store) -> None:
        with pytest.raises(InvalidWriteError, match="103 writes"), store.unit_of_work():
            for number in range(101):  # and one that looks at the batch
                store.results.save("b", number, {"rows": number})
        assert store.results.for_batch("b") == ()

    def test_functions_and_coroutines_can_be_units(self, store: Store) -> None:
        @unit_of_work(store)
        def both(fail: bool) -> str:
            """Adds two rules."""
            store.calculation_rules.put(rule("ACME", 1, "a"))
            store.calculation_rules.put(rule("ACME", 2, "b"))
            if fail:
                raise Oops
            return "done"

        @unit_of_work(store)
        async def later(fail: bool) -> str:
            await asyncio.sleep(0)
            return both(fail)

        assert (both.__name__, both.__doc__) == ("both", "Adds two rules.")
        with pytest.raises(Oops):
            both(True)
        with pytest.raises(Oops):
            asyncio.run(later(True))
        assert store.calculation_rules.all("ACME") == {}
        assert both(False) == "done"
        assert asyncio.run(later(False)) == "done"
        assert set(store.calculation_rules.all("ACME")) == {"a", "b"}

    def test_a_function_whose_work_comes_after_its_return_is_refused(self, store: Store) -> None:
        def one_by_one() -> Iterator[str]:
            store.calculation_rules.put(rule("ACME"))
            yield "a"

        async def awaited_one_by_one() -> AsyncIterator[str]:
            store.calculation_rules.put(rule("ACME"))
            yield "a"

        for function in (one_by_one, awaited_one_by_one):
            with pytest.raises(TypeError, match="generator function"):
                unit_of_work(store)(function)

        async def later() -> None:
            store.calculation_rules.put(rule("ACME"))

        def undeclared() -> Awaitable[None]:
            store.calculation_rules.put(rule("BETA"))
            return later()

        async def run() -> None:
            await unit_of_work(store)(undeclared)()

        with pytest.raises(TypeError, match="coroutine"):
            asyncio.run(run())
        assert (store.overrides("ACME"), store.overrides("BETA")) == ((), ())

    def test_one_object_is_for_one_block_at_a_time(self, store: Store) -> None:
        unit = store.unit_of_work()
        with pytest.raises(InvalidWriteError, match="in use"), unit:
            store.calculation_rules.put(rule("ACME"))
            with unit:
                pass
        assert store.overrides("ACME") == ()

        async def nested() -> None:
            async with unit:
                store.calculation_rules.put(rule("ACME"))
                async with unit:
                    pass

        with pytest.raises(InvalidWriteError, match="in use"):
            asyncio.run(nested())
        assert store.overrides("ACME") == ()
        with unit:
            store.calculation_rules.put(rule("ACME"))
        assert len(store.overrides("ACME")) == 1

    def test_a_unit_that_is_left_in_another_context_writes_nothing_and_says_so(self, store: Store) -> None:
        unit, inside = store.unit_of_work(), copy_context()
        inside.run(unit.__enter__)
        inside.run(store.calculation_rules.put, rule("ACME"))
        store.calculation_rules.put(rule("OMEGA"))
        for elsewhere in (copy_context(), inside.run(copy_context)):
            with pytest.raises(InvalidWriteError, match="in another context"):
                elsewhere.run(unit.__exit__, None, None, None)
            inside = copy_context()
            inside.run(unit.__enter__)
            inside.run(store.calculation_rules.put, rule("ACME"))
        assert store.plans() == ("OMEGA",)
        inside.run(unit.__exit__, None, None, None)
        assert store.plans() == ("ACME", "OMEGA")

    def test_units_of_tasks_that_run_by_turns_do_not_mix(self, store: Store) -> None:
        async def one(plan_id: str, fail: bool, turn: asyncio.Event, other: asyncio.Event) -> None:
            async with store.unit_of_work():
                store.calculation_rules.put(rule(plan_id))
                other.set()
                await turn.wait()
                if fail:
                    raise Oops

        async def both() -> list[BaseException | None]:
            first, second = asyncio.Event(), asyncio.Event()
            return list(
                await asyncio.gather(
                    one("ACME", False, first, second), one("BETA", True, second, first), return_exceptions=True
                )
            )

        results = asyncio.run(both())
        assert (results[0], type(results[1])) == (None, Oops)
        assert store.calculation_rules.get("ACME", "match").plan_id == "ACME"
        with pytest.raises(RuleNotFoundError):
            store.calculation_rules.get("BETA", "match")

    def test_a_pipeline_can_be_replaced_within_a_unit(self, store: Store) -> None:
        steps = [PipelineStep(plan_id="ACME", pay_freq="Weekly", step_order=n, agent="A") for n in (1, 2)]
        with store.unit_of_work():
            store.pipelines.replace("ACME", "Weekly", steps)
            assert len(store.pipelines.steps("ACME", "Weekly")) == 2
            store.calculation_rules.put(rule("ACME"))
        assert [step.step_order for step in store.pipelines.steps("ACME", "Weekly")] == [1, 2]
