"""What agents keep of a batch: any state comes back equal, and who wrote is kept where settings say it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluestar_store import Settings, Store
from bluestar_store.models.audit import AUDIT_ENTRY, AuditEntry
from bluestar_store.models.free_form import FREE_STATE
from bluestar_store.persistence import DynamoDBRulesStore, EngineRulesStore, MemoryRulesStore, create_persistence

TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
FLOATS = st.floats(-1e15, 1e15).filter(lambda number: number == 0 or abs(number) > 1e-100)
SCALARS = (
    st.none()
    | st.booleans()
    | TEXTS
    | st.binary(max_size=8)
    | st.integers(-(10**38) + 1, 10**38 - 1)
    | FLOATS
    | st.sets(TEXTS, min_size=1, max_size=3)
    | st.sets(FLOATS | st.integers(-99, 99), min_size=1, max_size=3)
)
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6) | st.sampled_from(
    ["PK", "SK", "status", "version"]
)
STATES = st.dictionaries(
    NAMES,
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
        max_leaves=8,
    ),
    max_size=5,
)


@given(STATES, STATES)
def test_any_state_and_result_come_back_equal(state: dict[str, Any], result: dict[str, Any]) -> None:
    store = MemoryRulesStore()
    store.save_batch_state("b1", state)
    store.save_processing_result("b1", "match", result)
    assert store.get_batch_state("b1") == state
    assert store.get_processing_results("b1") == {"match": result}


def written_by(store: EngineRulesStore) -> list[str | None]:
    """Who the state was saved by, and who is the actor of an entry that names none."""
    store.save_batch_state("b1", {"status": "new"})
    store.append_audit_entry({"batch_id": "b1", "action": "begin"})
    table = store.sessions.table(FREE_STATE)
    items = list(store.sessions.current().partition_items(table, "BATCH#b1", ""))
    (state,) = (FREE_STATE.decode(item) for item in items if FREE_STATE.owns(item))
    (entry,) = (AUDIT_ENTRY.decode(item) for item in items if AUDIT_ENTRY.owns(item))
    return [state.written_by, entry.actor]


@pytest.mark.parametrize("actor", ["VALIDATOR", None])
def test_who_wrote_is_the_actor_of_the_settings(
    actor: str | None, tmp_path: Path, moto_tables: Any, suffix: str
) -> None:
    file = Settings(persistence_mode="file", file_persistence_dir=tmp_path / "store", actor=actor)
    with Store.open(file) as store:
        store.create_tables()
    memory = Settings(persistence_mode="memory", actor=actor)
    dynamo = Settings(persistence_mode="dynamo", table_suffix=suffix, aws_region="us-east-1", actor=actor)
    for settings in (file, memory, dynamo):
        with create_persistence(settings)[0] as rules:
            assert written_by(rules) == [actor, actor]


@pytest.mark.parametrize("actor", ["VALIDATOR", "x" * 200])
def test_the_actor_that_an_entry_names_is_its_own_and_wrote_it(actor: str) -> None:
    with MemoryRulesStore(actor="pat") as store:
        store.append_audit_entry({"batch_id": "b1", "actor": actor})
        (entry,) = entries(store)
        assert (entry.actor, entry.written_by, entry.details) == (actor, actor, None)


@pytest.mark.parametrize("actor", ["", 7, "x" * 201])
def test_what_cannot_be_an_actor_is_among_an_entrys_details(actor: object) -> None:
    with MemoryRulesStore(actor="pat") as store:
        store.append_audit_entry({"batch_id": "b1", "actor": actor})
        (entry,) = entries(store)
        assert (entry.actor, entry.written_by, dict(entry.details or {})) == ("pat", "pat", {"actor": actor})


def test_an_actor_without_a_name_is_none() -> None:
    with MemoryRulesStore(actor="") as store:
        assert written_by(store) == [None, None]


def entries(store: EngineRulesStore) -> list[AuditEntry]:
    """The entries of batch b1."""
    items = store.sessions.current().partition_items(store.sessions.table(AUDIT_ENTRY), "BATCH#b1", "AUDIT#")
    return [AUDIT_ENTRY.decode(item) for item in items]


def test_a_store_made_by_hand_has_the_actor_of_the_environment(
    moto_tables: Any, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLUESTAR_ACTOR", "pat")
    with DynamoDBRulesStore(suffix) as store:
        assert written_by(store) == ["pat", "pat"]
