"""Four eyes: who proposed a plan does not apply it; the trail says who did what, and a refusal who moved an item."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bluestar_store import (
    AccessDeniedError,
    ConfigurationError,
    PersistenceMode,
    PlanOutdatedError,
    PlanRefusedError,
    Settings,
    Store,
    seeding,
)
from bluestar_store.keys import Key
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.protocols import EXISTS, Update
from bluestar_store.rulesets.loading import LOADS
from bluestar_store.rulesets.reading import RuleSet
from bluestar_store.rulesets.saved_plan import PROPOSALS, apply_plan, save_plan
from tests.rulesets.saved_plans import changed, resigned, rule, store

__all__ = ["store"]  # fixtures


def test_the_trail_says_who_proposed_and_who_applied_which_plan(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    digest = save_plan(store, seeding.compare(store, RuleSet((rule("ACME", "extra"),))), path, actor="pat")
    apply_plan(store, path, actor="kim")
    entry = store.audit.entries(LOADS)[-1]
    assert entry.details is not None
    assert (entry.actor, entry.details["proposed_by"], entry.details["plan"]) == ("kim", "pat", digest)


@pytest.fixture
def strict(store: Store) -> Store:
    """The same store, where four eyes are demanded."""
    return Store(Settings(persistence_mode=PersistenceMode.MEMORY, four_eyes=True), store.engine)


@pytest.mark.parametrize(
    ("proposer", "applier", "said"),
    [
        ("pat", "kim", None),
        ("pat", "pat", "somebody else applies it"),
        ("pat", " PAT\u200b", "somebody else applies it"),
        ("pat", None, "needs somebody to apply it"),
        ("pat", "-", "needs somebody to apply it"),
    ],
)
def test_four_eyes(strict: Store, tmp_path: Path, proposer: str, applier: str | None, said: str | None) -> None:
    path = tmp_path / "plan.json"
    changed(strict, path, actor=proposer)
    if said is None:
        assert apply_plan(strict, path, actor=applier).added
    else:
        with pytest.raises(PlanRefusedError, match=said):
            apply_plan(strict, path, actor=applier)
        assert not strict.calculation_rules.all("ACME").keys() & {"extra"}


@pytest.mark.parametrize("name", ["kim", "lee", None])
@pytest.mark.parametrize("content", ["the same", "another"])
def test_four_eyes_see_a_plan_whose_proposer_wrote_another_name_into_it(
    strict: Store, tmp_path: Path, name: str | None, content: str
) -> None:
    path = tmp_path / "plan.json"
    changed(strict, path, actor="pat")

    def rewrite(plan: dict[str, Any]) -> None:
        plan["proposed"]["actor"] = name
        if content == "another":
            plan["salt"] = "0" * 32

    resigned(path, rewrite)
    digest = json.loads(path.read_text())["digest"]
    for applier in ("pat", "kim", "lee"):
        with pytest.raises(PlanRefusedError, match=r"was not proposed in this store|does not say who proposed"):
            apply_plan(strict, path, digest=digest, actor=applier)
    assert not strict.calculation_rules.all("ACME").keys() & {"extra"}


def test_four_eyes_take_no_plan_that_was_made_without_them_or_elsewhere(
    store: Store, strict: Store, tmp_path: Path
) -> None:
    path = tmp_path / "plan.json"
    for actor, said in (("pat", "was not proposed in this store by 'pat'"), (None, "does not say who proposed it")):
        changed(store, path, actor=actor)
        with pytest.raises(PlanRefusedError, match=said):
            apply_plan(strict, path, actor="kim")
    assert apply_plan(store, path, actor="kim").added  # where one person may


def test_a_proposal_is_in_a_trail_of_the_store_and_the_file_keeps_what_the_trail_says(
    strict: Store, tmp_path: Path
) -> None:
    path = tmp_path / "plan.json"
    changed(strict, path, actor="pat")
    (entry,) = strict.audit.entries(PROPOSALS)
    assert (entry.actor, entry.action) == ("pat", "propose")
    assert dict(entry.details or {}) == {"plan": json.loads(path.read_text())["digest"]}
    assert strict.audit.verify(PROPOSALS) == ()
    strict.audit.append(PROPOSALS, action="propose", actor="kim", details={"plan": "0" * 64})
    strict.audit.append(PROPOSALS, action="propose", actor="kim")
    assert apply_plan(strict, path, actor="kim").added


def test_there_is_no_file_of_a_plan_whose_proposal_was_not_noted(
    strict: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*args: object) -> None:
        raise AccessDeniedError("no")

    monkeypatch.setattr("bluestar_store.rulesets.saved_plan.record_proposal", fails)
    with pytest.raises(AccessDeniedError):
        changed(strict, tmp_path / "plan.json", actor="pat")
    assert not list(tmp_path.glob("plan*"))


def test_four_eyes_need_to_know_who_proposes(strict: Store, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="say who proposes the plan"):
        changed(strict, tmp_path / "plan.json")
    changed(strict, tmp_path / "plan.json", actor="pat")


def test_a_refusal_names_who_moved_the_item(store: Store, tmp_path: Path) -> None:
    changed(store, tmp_path / "plan.json")
    with_actor = Store(Settings(persistence_mode=PersistenceMode.MEMORY, actor="pat"), store.engine)
    with_actor.calculation_rules.put(rule("ACME", "match", "1"))
    assert store.calculation_rules.get("ACME", "match").written_by == "pat"
    with pytest.raises(PlanOutdatedError, match=r"CALC#match \(by pat\)"):
        apply_plan(store, tmp_path / "plan.json")
    store.calculation_rules.put(rule("ACME", "match", "2"))
    with pytest.raises(PlanOutdatedError, match=r"CALC#match$"):
        apply_plan(store, tmp_path / "plan.json")
    assert store.calculation_rules.get("ACME", "match").written_by is None


def test_who_wrote_an_item_last_is_not_blamed_for_what_another_program_did_to_it(store: Store, tmp_path: Path) -> None:
    with_actor = Store(Settings(persistence_mode=PersistenceMode.MEMORY, actor="pat"), store.engine)
    with_actor.calculation_rules.put(rule("ACME", "match", "1"))
    changed(store, tmp_path / "plan.json")
    table = store.tables.name(CALCULATION_RULE)
    key = Key("CLIENT#ACME", "CALC#match")
    store.engine.write(Update(table, key, {"max_pct": {"N": "9"}}, expect=EXISTS))
    with pytest.raises(PlanOutdatedError) as caught:
        apply_plan(store, tmp_path / "plan.json")
    assert caught.value.moved == ("CLIENT#ACME CALC#match (by a program that keeps no versions)",)


def test_a_refusal_says_what_was_deleted(store: Store, tmp_path: Path) -> None:
    changed(store, tmp_path / "plan.json")
    store.calculation_rules.delete(store.calculation_rules.get("ACME", "match"))
    with pytest.raises(PlanOutdatedError) as caught:
        apply_plan(store, tmp_path / "plan.json")
    assert caught.value.moved == ("CLIENT#ACME CALC#match (deleted)",)
