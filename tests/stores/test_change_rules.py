"""What a put and a delete write, expect and refuse: see tests/mutants.

In memory, with an engine that lets others write just before each write; what is sent is looked at where a reader could
not tell the difference.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from pydantic import SecretStr

from bluestar_store import AchConfig, CalculationRule, PipelineStep, Settings, Store, VersionConflictError
from bluestar_store.errors import (
    AlreadyExistsError,
    ConflictError,
    InheritedRuleError,
    InvalidEntityError,
    InvalidKeyError,
    ItemDecodeError,
)
from bluestar_store.keys import GLOBAL, Key
from bluestar_store.models.batches import BATCH_STATE, BatchState
from bluestar_store.models.config import ACH_CONFIG
from bluestar_store.models.holds import PLAN_HOLD
from bluestar_store.models.pipeline import PIPELINE_STEP
from bluestar_store.protocols import ABSENT, ANY, EXISTS, VERSION, Delete, Put, Update, Write
from tests.cache.stores import rule
from tests.store_suite.encryption import FIRST
from tests.stores.busy_engine import MATCH, BusyEngine, meddle, raw, raw_put, rules_table

PLACE = "bluestar-calculation-rules: PK=CLIENT#ACME SK=CALC#match"


@pytest.fixture
def engine() -> BusyEngine:
    return BusyEngine()


@pytest.fixture
def store(engine: BusyEngine) -> Iterator[Store]:
    with Store(Settings(persistence_mode="memory"), engine) as opened:
        opened.create_tables()
        yield opened


def sent(engine: BusyEngine, key: Key = MATCH) -> Write:
    """The last write of an item."""
    return [write for writes in engine.sent for write in writes if write.key == key][-1]


def changed(engine: BusyEngine) -> tuple[dict[str, Any], set[str]]:
    """What the last write of the rule sets and removes, the place in the index left out."""
    write = sent(engine)
    assert isinstance(write, Update)
    values = {name: value for name, value in write.set.items() if not name.startswith("bs_")}
    return values, {name for name in write.remove if not name.startswith("bs_")}


def number(value: int) -> dict[str, str]:
    return {"N": str(value)}


def note(size: int) -> dict[str, Any]:
    """Another program's attribute `note` of so many bytes, its name counted."""
    return {"note": {"S": "x" * (size - len("note"))}}


# --------------------------------------------------------------------------------------------------------- expected


def test_each_refusal_names_the_item_and_its_place(store: Store, engine: BusyEngine) -> None:
    made = store.calculation_rules.put(rule("ACME", 4))
    store.calculation_rules.put(made)
    refusals: list[ConflictError] = []
    for entity, expected in ((made, ABSENT), (made, 7), (made, None)):
        for write in (store.calculation_rules.put, store.calculation_rules.delete):
            with pytest.raises((AlreadyExistsError, VersionConflictError)) as caught:
                write(entity, expected)
            refusals.append(caught.value)
    assert [str(error) for error in refusals[:2]] == [f"{PLACE}: exists already"] * 2
    told = [(e.item, e.expected, e.found) for e in refusals if isinstance(e, VersionConflictError)]
    assert told == [(PLACE, 7, 2), (PLACE, 7, 2), (PLACE, 1, 2), (PLACE, 1, 2)]
    assert {error.place for error in refusals[4:]} == {(rules_table(store), MATCH)}


def test_a_conflict_names_who_wrote_last_where_that_is_known(store: Store, engine: BusyEngine) -> None:
    def conflict(read: CalculationRule) -> tuple[str | None, str | None]:
        with pytest.raises(VersionConflictError) as caught:
            store.calculation_rules.put(read)
        return caught.value.attribute, caught.value.written_by

    read = store.calculation_rules.put(rule("ACME", 4), actor="pat")
    theirs = {name: value for name, value in raw(store, engine).items() if name not in ("PK", "SK")}
    store.calculation_rules.put(read, actor="kim")
    assert conflict(read) == (None, "kim")
    raw_put(store, engine, **theirs | {"max_pct": number(7)})  # by a program that leaves the name that it finds
    assert conflict(read) == ("max_pct", None)
    for actor, told in (("kim", "kim"), ("pat", None), (None, None)):
        store.calculation_rules.delete(rule("ACME", 4), ANY)
        store.calculation_rules.put(rule("ACME", 5), actor=actor)
        assert conflict(read) == ("max_pct", told)


@pytest.mark.parametrize("expected", [EXISTS, 1])
def test_what_has_to_be_there_and_is_not_is_named(store: Store, expected: Any) -> None:
    for write in (store.calculation_rules.put, store.calculation_rules.delete):
        with pytest.raises(VersionConflictError) as caught:
            write(rule("ACME", 4), expected)
        assert (caught.value.item, caught.value.found) == (PLACE, None)
        assert caught.value.expected == (None if expected is EXISTS else 1)


def test_what_has_to_be_there_and_is_may_have_any_version(store: Store) -> None:
    store.calculation_rules.put(rule("ACME", 4))
    store.calculation_rules.put(rule("ACME", 4))
    assert store.calculation_rules.put(rule("ACME", 5), EXISTS).version == 3
    store.calculation_rules.delete(rule("ACME", 5), EXISTS)
    assert store.plans() == ()


def test_a_version_that_cannot_be_read_is_written_over_by_who_says_so_only(store: Store, engine: BusyEngine) -> None:
    for expected in (None, 1, 0, EXISTS):
        raw_put(store, engine, version={"S": "two"}, max_pct=number(1))
        with pytest.raises(ItemDecodeError) as caught:
            store.calculation_rules.put(rule("ACME", 4), expected)
        told = "bluestar-calculation-rules: item PK='CLIENT#ACME' SK='CALC#match': attribute 'version' "
        assert str(caught.value).startswith(told + "is ")
    assert raw(store, engine)["version"] == {"S": "two"}
    assert store.calculation_rules.put(rule("ACME", 4), ANY).version == 1


def test_a_deletion_of_nothing_is_sent_again_when_something_came(store: Store, engine: BusyEngine) -> None:
    meddle(store, engine, 1, max_pct=0)
    store.calculation_rules.delete(rule("ACME", 4))
    assert (len(engine.sent), raw(store, engine)) == (2, {})


def test_a_deletion_that_expects_nothing_takes_what_others_made_of_it(store: Store, engine: BusyEngine) -> None:
    store.calculation_rules.put(rule("ACME", 4))
    engine.sent.clear()
    meddle(store, engine, 1, max_pct=0)
    store.calculation_rules.delete(rule("ACME", 4))
    assert (len(engine.sent), raw(store, engine)) == (2, {})


def test_what_lies_under_another_spelling_of_its_number_was_made_again(store: Store, engine: BusyEngine) -> None:
    read = store.pipelines.replace("ACME", "Weekly", [step()])
    name, key = store.tables.name(PIPELINE_STEP), Key("CLIENT#ACME_Weekly", "STEP#0001")
    item = engine.get(name, [key], consistent=True)[key]
    engine.write(Delete(name, key), Put(name, item | {"SK": {"S": "STEP#1"}}))
    with pytest.raises(VersionConflictError) as caught:
        store.pipelines.replace("ACME", "Weekly", [step()], known=read)
    assert caught.value.found is None


def test_a_deletion_expects_what_it_read(store: Store, engine: BusyEngine) -> None:
    read = store.calculation_rules.put(rule("ACME", 4))
    meddle(store, engine, 1, max_pct=0)
    with pytest.raises(VersionConflictError) as caught:
        store.calculation_rules.delete(read)
    assert (caught.value.attribute, raw(store, engine)["max_pct"]) == ("max_pct", number(engine.meddled[-1]))


@pytest.mark.parametrize(("size", "tries"), [(1024, 2), (1025, 1)])
def test_another_programs_attribute_is_expected_as_it_was_read_up_to_1024_bytes(
    store: Store, engine: BusyEngine, size: int, tries: int
) -> None:
    raw_put(store, engine, **note(size))
    meddle(store, engine, 1, note=0)
    store.calculation_rules.put(rule("ACME", 4))
    assert len(engine.sent) == tries
    assert raw(store, engine)["note"] == number(engine.meddled[-1])


def test_what_another_program_did_to_attributes_of_its_own_before_the_look_is_no_conflict(
    store: Store, engine: BusyEngine
) -> None:
    for theirs in ({}, {"note": number(1)}, {"note": number(2)}):
        raw_put(store, engine, max_pct=number(4), note={"S": "read"}, version=number(1))
        read = store.calculation_rules.get("ACME", "match", fresh=True)
        raw_put(store, engine, max_pct=number(4), version=number(1), **theirs)
        assert store.calculation_rules.put(read).version == 2
        assert raw(store, engine).get("note") == theirs.get("note")


def test_as_many_attributes_are_expected_as_fit_the_kinds_own_first(store: Store, engine: BusyEngine) -> None:
    raw_put(store, engine, **{f"x{n:03d}": number(n) for n in range(200)})
    store.calculation_rules.put(rule("ACME", 4))
    expected: Any = sent(engine).expect
    assert len(expected.all_attributes) == 125
    assert {"plan_id", "max_pct", "formula", "x000"} <= expected.all_attributes.keys()
    assert not {"PK", "SK", VERSION} & expected.all_attributes.keys()


def test_the_librarys_own_attributes_are_not_expected_as_they_were_read(store: Store, engine: BusyEngine) -> None:
    raw_put(store, engine, bs_other=number(1), version=number(1))
    meddle(store, engine, 1, bs_other=0)
    store.calculation_rules.put(rule("ACME", 5))
    assert len(engine.sent) == 1
    assert raw(store, engine)["bs_other"] == number(engine.meddled[-1])


def test_an_unreadable_version_is_expected_as_it_is(store: Store, engine: BusyEngine) -> None:
    raw_put(store, engine, version={"S": "two"})
    meddle(store, engine, 1, version=0)
    made = store.calculation_rules.put(rule("ACME", 4), ANY)
    assert (len(engine.sent), made.version) == (2, engine.meddled[-1] + 1)


def test_what_was_read_is_written_over_without_looking_for_it(
    store: Store, engine: BusyEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    (read,) = store.pipelines.replace("ACME", "Weekly", [step()])

    def query(*_asked: Any, **_options: Any) -> Any:
        raise AssertionError("a query")

    with monkeypatch.context() as patched:
        patched.setattr(engine, "query", query)
        assert store.pipelines.put(read.model_copy(update={"agent": "B"})).agent == "B"
        with pytest.raises(AssertionError):
            store.pipelines.put(step())  # which may lie there in another spelling


def step() -> PipelineStep:
    return PipelineStep(plan_id="ACME", pay_freq="Weekly", step_order=1, agent="A")


# ----------------------------------------------------------------------------------------------------------- written


def test_a_new_item_has_its_attributes_its_keys_version_1_and_its_place_in_the_index(
    store: Store, engine: BusyEngine
) -> None:
    hold = store.holds.place("ACME", "Missing data", hold_id="h")
    key = PLAN_HOLD.keys.build({"plan_id": "ACME", "hold_id": "h"})
    write = sent(engine, key)
    assert isinstance(write, Put)
    assert write.expect is ABSENT
    assert (write.item["PK"], write.item["SK"], write.item["version"]) == ({"S": key.pk}, {"S": key.sk}, number(1))
    assert write.item.keys() >= PLAN_HOLD.index_of(hold).keys() != set()


def test_an_update_sends_what_differs_and_the_version_and_nothing_else(store: Store, engine: BusyEngine) -> None:
    read = store.calculation_rules.put(rule("ACME", 4).model_copy(update={"formula": "x", "age_threshold": 50}))
    store.calculation_rules.put(read.model_copy(update={"max_pct": Decimal(5), "formula": None}))
    write = sent(engine)
    assert isinstance(write, Update)
    assert dict(write.set) == {"max_pct": number(5), "version": number(2)}
    assert write.remove == {"formula"}


def test_a_null_is_no_value_and_is_left(store: Store, engine: BusyEngine) -> None:
    raw_put(store, engine, formula={"NULL": True}, version=number(1))
    store.calculation_rules.put(store.calculation_rules.get("ACME", "match").model_copy(update={"age_threshold": 50}))
    assert changed(engine) == ({"age_threshold": number(50), "version": number(2)}, set())
    store.calculation_rules.put(rule("ACME", 4))
    assert raw(store, engine)["formula"] == {"NULL": True}


def test_a_fresh_put_adds_what_the_key_says_and_one_of_what_was_read_does_not(store: Store, engine: BusyEngine) -> None:
    raw_put(store, engine, max_pct=number(4))
    store.calculation_rules.put(store.calculation_rules.get("ACME", "match"))
    assert changed(engine) == ({"version": number(1)}, set())
    store.calculation_rules.put(rule("ACME", 4))
    assert changed(engine) == (
        {"plan_id": {"S": "ACME"}, "calc_type": {"S": "match"}, "version": number(2)},
        set(),
    )


def test_an_attribute_that_cannot_be_read_is_written_over_and_others_beside_it_stay(
    store: Store, engine: BusyEngine
) -> None:
    raw_put(store, engine, max_pct={"S": "6 %"}, formula={"NULL": True}, age_threshold=number(50), version=number(3))
    made = store.calculation_rules.put(rule("ACME", 4).model_copy(update={"age_threshold": 50}))
    assert made.version == 4
    values, removed = changed(engine)
    assert set(values) == {"plan_id", "calc_type", "max_pct", "version"}
    assert removed == set()
    raw_put(store, engine, max_pct={"S": "6 %"}, formula={"S": "x"}, version=number(3))
    store.calculation_rules.put(CalculationRule(plan_id="ACME", calc_type="match"))
    assert changed(engine)[1] == {"max_pct", "formula"}


def test_an_update_names_its_actor_and_one_of_nobody_takes_the_name_away(store: Store, engine: BusyEngine) -> None:
    read = store.calculation_rules.put(rule("ACME", 4), actor="pat")
    name = next(name for name, value in raw(store, engine).items() if value == {"S": "pat"})
    again = store.calculation_rules.put(read, actor="kim")
    assert raw(store, engine)[name] == {"S": "kim"}
    store.calculation_rules.put(again)
    assert name not in raw(store, engine)


def test_a_hold_that_is_released_leaves_the_index(store: Store, engine: BusyEngine) -> None:
    hold = store.holds.place("ACME", "Missing data", hold_id="h")
    store.holds.release("ACME", "h")
    write = sent(engine, PLAN_HOLD.keys.build({"plan_id": "ACME", "hold_id": "h"}))
    assert isinstance(write, Update)
    assert write.remove == PLAN_HOLD.index_of(hold).keys()


def test_what_a_put_returns_is_what_was_written(store: Store, engine: BusyEngine) -> None:
    raw_put(store, engine, other={"S": "theirs"}, formula={"S": "x"})
    made = store.calculation_rules.put(rule("ACME", 4))
    assert made == store.calculation_rules.get("ACME", "match", fresh=True)
    assert (made.extra["other"], made.formula, made.version) == ("theirs", None, 1)
    assert made.origin is not None
    assert made.origin.wire == raw(store, engine)


def test_what_is_encrypted_is_so_in_a_new_item_and_in_an_update_and_stays_where_it_is_the_same(
    store: Store, engine: BusyEngine
) -> None:
    name, key = store.tables.name(ACH_CONFIG), Key("CLIENT#ACME_Weekly", "ACH")

    def kept() -> Any:
        return engine.get(name, [key], consistent=True)[key]["account_number"]

    with Store(Settings(persistence_mode="memory", encryption_key=SecretStr(FIRST)), engine) as keyed:
        new = keyed.ach_configs.put(AchConfig(plan_id="ACME", pay_freq="Weekly", account_number="1234567"))
        first = kept()
        other = keyed.ach_configs.put(new.model_copy(update={"ach_method": "SFTP"}))
        assert kept() == first
        keyed.ach_configs.put(other.model_copy(update={"account_number": "7654321"}))
        assert first.keys() == kept().keys() == {"B"}
        found = keyed.ach_configs.get("ACME", "Weekly", fresh=True)
    assert (found.account_number, found.ach_method) == ("7654321", "SFTP")


# ----------------------------------------------------------------------------------------------------------- refused


def test_only_what_a_write_changes_is_checked_for_its_meaning(store: Store, engine: BusyEngine) -> None:
    raw_put(store, engine, max_pct=number(600), version=number(1))
    read = store.calculation_rules.get("ACME", "match")
    read = store.calculation_rules.put(read.model_copy(update={"description": "too much"}))
    assert read.version == 2
    for wrong in ({"max_pct": Decimal(700)}, {"formula": "1 +"}):
        with pytest.raises(InvalidEntityError):
            store.calculation_rules.put(read.model_copy(update=wrong))
    with pytest.raises(InvalidEntityError):
        store.calculation_rules.put(rule("OTHER", 600))  # of a new one all is new
    assert store.calculation_rules.put(read.model_copy(update={"max_pct": Decimal(100)})).version == 3


def test_all_that_is_wrong_is_told_at_once(store: Store) -> None:
    wrong = rule("ACME", 600).model_copy(update={"formula": "1 +"})
    with pytest.raises(InvalidEntityError) as caught:
        store.calculation_rules.put(wrong)
    told = str(caught.value)
    assert told.startswith("CalculationRule: ")
    assert sorted(part.split()[0] for part in told.removeprefix("CalculationRule: ").split("; ")) == [
        "formula",
        "max_pct",
    ]


def test_a_new_item_has_no_identity_that_cannot_be_seen_and_an_old_one_may(store: Store, engine: BusyEngine) -> None:
    hidden = "AC\u200bME"
    raw_put(store, engine, Key(f"CLIENT#{hidden}", "CALC#match"), max_pct=number(1))
    assert store.calculation_rules.put(rule(hidden, 4)).max_pct == 4
    for new in (rule(hidden, 4, "cap"), rule("ACME", 4, hidden)):
        with pytest.raises(InvalidKeyError, match="cannot be seen"):
            store.calculation_rules.put(new)
    with pytest.raises(InvalidKeyError, match="plan_id"):
        store.batches.put(BatchState(batch_id="b", plan_id=hidden))


@pytest.mark.parametrize("write", ["put", "delete"])
def test_what_a_plan_inherits_is_refused_by_name_and_becomes_its_own_by_another(store: Store, write: str) -> None:
    store.calculation_rules.put(rule(GLOBAL, 4))
    read = store.calculation_rules.get("ACME", "match")
    with pytest.raises(InheritedRuleError) as caught:
        getattr(store.calculation_rules, write)(read)
    assert str(caught.value).startswith("bluestar-calculation-rules: PK=CLIENT#GLOBAL SK=CALC#match")
    assert 'rule.for_plan("ACME")' in str(caught.value)
    assert store.calculation_rules.put(read.for_plan("ACME")).plan_id == "ACME"


def test_what_cannot_be_read_before_its_change_is_named_with_its_table(store: Store, engine: BusyEngine) -> None:
    name, key = store.tables.name(BATCH_STATE), BATCH_STATE.keys.build({"batch_id": "b"})
    store.batches.put(BatchState(batch_id="b"))
    item = engine.get(name, [key], consistent=True)[key]
    engine.write(Put(name, item | {"current_step": {"S": "none"}}))
    with pytest.raises(ItemDecodeError) as caught:
        store.batches.put(BatchState(batch_id="b", current_step=5), ANY)
    assert str(caught.value).startswith(f"{name}: item PK='{key.pk}'")
