"""What every batch store has to do, whatever lies behind it, and beside typed batches. Plugged in as RulesSuite is."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from bluestar_store import BatchStatus, IrsLimits, PipelineStep, Settings, Store, Trail
from bluestar_store.doctor import examine, is_healthy
from bluestar_store.errors import InvalidKeyError, InvalidWriteError, ItemTooLargeError
from bluestar_store.models.free_form import FREE_RESULT
from bluestar_store.persistence import EngineRulesStore, IBatchStore
from tests.persistence.rules_suite import Put, item

STATES: list[dict[str, Any]] = [
    {},
    {"status": "in_progress", "current_step": "validate", "year": "2026", "created": "yesterday", "version": "v2"},
    {"PK": "mine", "SK": 7, "batch_id": ["other"], "plan_id": 5, "bs_plan": 1},
    {"rate": 0.1, "sum": 1234567.89, "tiny": -1e-9, "whole": 2.0, "count": 3, "big": 10**30},
    {"tags": {"a", "b"}, "raw": b"\x00\xff", "none": None, "yes": True, "no": False, "empty": ""},
    {"rows": [{"ssn": "x", "pay": [1.5, None, {"deep": {"deeper": []}}]}, "text", {}]},
]

ENDLESS: dict[str, Any] = {}
ENDLESS["inner"] = [ENDLESS]


def typed(store: EngineRulesStore) -> Store:
    """A typed Store over the same items, where the plan ACME can start batches."""
    tables, engine = store.sessions.tables, store.sessions.current().engine
    settings = Settings(persistence_mode="memory", table_prefix=tables.prefix, table_suffix=tables.suffix)
    found = Store(settings, engine)
    found.pipelines.replace("ACME", "Weekly", [PipelineStep(plan_id="ACME", pay_freq="Weekly", step_order=100)])
    found.irs_limits.put(IrsLimits(year=2026))
    return found


class BatchSuite:
    """Subclasses give the fixtures `store` and `put`."""

    def test_it_is_a_batch_store(self, store: EngineRulesStore) -> None:
        assert isinstance(store, IBatchStore)

    def test_a_batch_of_which_nothing_was_saved_has_nothing(self, store: EngineRulesStore) -> None:
        assert store.get_batch_state("b1") == {}
        assert store.get_processing_results("b1") == {}

    @pytest.mark.every_engine
    @pytest.mark.parametrize("state", STATES, ids=range(len(STATES)))
    def test_a_state_of_any_shape_comes_back_equal(self, store: EngineRulesStore, state: dict[str, Any]) -> None:
        store.save_batch_state("b1", {"before": 1})
        store.save_batch_state("b1", state)
        found = store.get_batch_state("b1")
        assert found == state
        found["changed"] = True
        assert store.get_batch_state("b1") == state
        store.save_processing_result("b1", "validate", state)
        assert store.get_processing_results("b1") == {"validate": state}

    @pytest.mark.parametrize("state", STATES, ids=range(len(STATES)))
    def test_a_typed_batch_is_neither_broken_nor_changed(self, store: EngineRulesStore, state: dict[str, Any]) -> None:
        other = typed(store)
        batch = other.batches.start("ACME", "Weekly", 2026, "b1")
        other.audit.append("b1", actor="typed", action="start")
        store.save_batch_state("b1", state)
        store.save_batch_state("no typed one", state)
        store.save_processing_result("b1", "100", state)
        store.append_audit_entry({**state, "batch_id": "b1"})
        assert other.batches.get("b1") == batch
        assert other.batches.for_plan("ACME").batches == (batch,)
        history = other.batches.history("b1")
        assert (history.state, history.results, history.claims) == (batch, (), ())
        assert history.free_state is not None
        assert [result.step for result in history.free_results] == ["100"]
        assert [entry.seq for entry in history.audit] == [1, 2]
        assert other.audit.verify("b1") == ()
        assert other.batches.verify_rules(batch).unchanged
        findings = examine(other, writes=False)
        assert is_healthy(findings), findings
        assert other.results.save(batch, 100, {"rows": 1}).version == 1
        # What was read before an agent saved its state is not outdated by it.
        assert other.batches.advance(batch, status=BatchStatus.RUNNING).version == 2
        assert store.get_batch_state("b1") == state

    def test_a_typed_batch_can_be_started_where_a_state_is(self, store: EngineRulesStore) -> None:
        store.save_batch_state("b1", {"status": "in_progress"})
        assert typed(store).batches.start("ACME", "Weekly", 2026, "b1").version == 1
        assert store.get_batch_state("b1") == {"status": "in_progress"}

    def test_without_a_state_of_an_agents_the_typed_one_is_given(self, store: EngineRulesStore) -> None:
        batch = typed(store).batches.start("ACME", "Weekly", 2026, "b1")
        found = store.get_batch_state("b1")
        assert (found["PK"], found["SK"]) == ("BATCH#b1", "STATE")
        assert (found["status"], found["year"], found["rules_digest"]) == ("RECEIVED", 2026, batch.rules_digest)

    def test_what_an_old_program_put_where_states_lie_is_given_until_one_is_saved(
        self, store: EngineRulesStore, put: Put
    ) -> None:
        put("processing-metadata", item("BATCH#b1", "STATE", status="in_progress", step="validate"))
        old = {"PK": "BATCH#b1", "SK": "STATE", "status": "in_progress", "step": "validate"}
        assert store.get_batch_state("b1") == old
        store.save_batch_state("b1", {"status": "done"})
        assert store.get_batch_state("b1") == {"status": "done"}

    @pytest.mark.every_engine
    def test_the_equal_result_again_writes_nothing_and_another_one_takes_its_place(
        self, store: EngineRulesStore
    ) -> None:
        def version() -> Any:
            key = FREE_RESULT.keys.build({"batch_id": "b1", "step": "match"})
            return store.sessions.current().engine.get(store.sessions.table(FREE_RESULT), [key], consistent=True)[key][
                "version"
            ]

        for sums in ({"a": 1.10, "b": {"y", "x"}}, {"b": {"x", "y"}, "a": Decimal("1.1")}):
            store.save_processing_result("b1", "match", sums)
        assert version() == {"N": "1"}
        store.save_processing_result("b1", "match", {"a": 1.2})
        assert version() == {"N": "2"}
        store.save_processing_result("b1", "a step with spaces", {"ok": True})
        assert store.get_processing_results("b1") == {"a step with spaces": {"ok": True}, "match": {"a": 1.2}}

    @pytest.mark.every_engine
    def test_true_and_1_are_not_taken_for_each_other(self, store: EngineRulesStore) -> None:
        for value in (True, 1, False, 0):
            store.save_batch_state("b1", {"ok": value})
            assert type(store.get_batch_state("b1")["ok"]) is type(value)

    @pytest.mark.every_engine
    def test_of_several_that_save_at_once_none_fails_and_one_stays(self, store: EngineRulesStore) -> None:
        def save(agent: int) -> None:
            for number in range(5):
                store.save_batch_state("b1", {"agent": agent, "number": number})

        with ThreadPoolExecutor(8) as executor:
            assert list(executor.map(save, range(8))) == [None] * 8
        assert store.get_batch_state("b1")["number"] == 4

    @pytest.mark.every_engine
    def test_an_entry_goes_into_the_chain_of_its_batch(self, store: EngineRulesStore) -> None:
        entry = {"batch_id": "b1", "actor": "VALIDATOR", "action": "checked", "seq": 7, "rate": 0.1, "rows": [1, {}]}
        store.append_audit_entry(entry)
        store.append_audit_entry({"batch_id": "b1", "actor": None, "action": 3, "hash": "x"})
        assert entry["batch_id"] == "b1"  # the caller's own
        other = typed(store)
        one, two = other.audit.entries("b1")
        assert (one.seq, one.actor, one.action) == (1, "VALIDATOR", "checked")
        assert one.details == {"seq": 7, "rate": Decimal("0.1"), "rows": (1, {})}
        assert (two.previous, two.action) == (one.hash, "entry")
        assert two.details == {"actor": None, "action": 3, "hash": "x"}
        assert other.audit.verify("b1") == ()

    def test_entries_without_a_batch_have_a_trail_of_their_own(self, store: EngineRulesStore) -> None:
        store.append_audit_entry({"event": "login"})
        store.append_audit_entry({"action": "logout", "batch_id": None})
        trail = Trail(table="audit-log", partition="AGENTS")
        other = typed(store)
        assert [(entry.action, entry.details) for entry in other.audit.entries(trail)] == [
            ("entry", {"event": "login"}),
            ("logout", None),
        ]
        assert other.audit.verify(trail) == ()

    @pytest.mark.parametrize(
        "wrong",
        [
            {"a": float("nan")},
            {"a": set()},
            {"a": [object()]},
            {"a": {1: "x", "1": "y"}},
            {2: "x"},
            {"a": 10**38 + 1},
            [],
            ENDLESS,
        ],
        ids=["nan", "empty set", "object", "keys in one", "key", "39 digits", "list", "endless"],
    )
    def test_what_dynamodb_cannot_hold_is_refused_and_nothing_written(
        self, store: EngineRulesStore, wrong: Any
    ) -> None:
        calls: list[Callable[[], object]] = [
            lambda: store.save_batch_state("b1", wrong),
            lambda: store.save_processing_result("b1", "match", wrong),
            lambda: store.append_audit_entry({"batch_id": "b1", "details": wrong} if wrong != [] else wrong),
        ]
        for call in calls:
            with pytest.raises(InvalidWriteError):
                call()
        assert list(store.sessions.current().partition_items(store.sessions.table(FREE_RESULT), "BATCH#b1", "")) == []

    def test_what_is_no_dict_is_called_by_its_name(self, store: EngineRulesStore) -> None:
        wrong: Any = [1]
        with pytest.raises(InvalidWriteError, match=r"^the entry must be a dict, not list$"):
            store.append_audit_entry(wrong)

    @pytest.mark.every_engine
    def test_what_is_too_large_is_refused(self, store: EngineRulesStore) -> None:
        with pytest.raises(ItemTooLargeError):
            store.save_batch_state("b1", {"text": "x" * 400 * 1024})

    @pytest.mark.parametrize("wrong", ["", "A#B", "A\nB", 7])
    def test_a_batch_or_step_that_cannot_stand_in_a_key_is_refused(self, store: EngineRulesStore, wrong: Any) -> None:
        calls: list[Callable[[], object]] = [
            lambda: store.save_batch_state(wrong, {}),
            lambda: store.get_batch_state(wrong),
            lambda: store.save_processing_result(wrong, "match", {}),
            lambda: store.save_processing_result("b1", wrong, {}),
            lambda: store.get_processing_results(wrong),
            lambda: store.append_audit_entry({"batch_id": wrong}),
        ]
        for call in calls:
            with pytest.raises(InvalidKeyError):
                call()
