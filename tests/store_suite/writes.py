"""What a put and a delete do, and when they refuse."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from bluestar_store.errors import (
    AlreadyExistsError,
    BlueStarError,
    InvalidEntityError,
    ItemTooLargeError,
    VersionConflictError,
)
from bluestar_store.keys import Key
from bluestar_store.models.calculation import CALCULATION_RULE, CalculationRule
from bluestar_store.models.limits import IrsLimits
from bluestar_store.protocols import ABSENT, ANY
from bluestar_store.store import Store
from tests.store_suite.side_door import RawGet, RawPut, table, wire

KEY = Key("CLIENT#ACME", "CALC#match")
RULE = CalculationRule(plan_id="ACME", calc_type="match", formula="x", max_pct=Decimal(6))


class WriteTests:
    """Put and delete of single items."""

    isolated_transactions = True
    """Whether two writes of one item at the same time are kept apart; a target without that says False."""

    def test_a_fresh_entity_is_created_with_version_1(self, store: Store, raw_get: RawGet) -> None:
        made = store.calculation_rules.put(RULE)
        assert (made, made.version) == (RULE, 1)
        assert store.calculation_rules.get("ACME", "match") == made
        item = raw_get(table(store, CALCULATION_RULE), KEY) or {}
        assert {name: value for name, value in item.items() if not name.startswith("bs_")} == {
            "PK": {"S": "CLIENT#ACME"},
            "SK": {"S": "CALC#match"},
            "plan_id": {"S": "ACME"},
            "calc_type": {"S": "match"},
            "formula": {"S": "x"},
            "max_pct": {"N": "6"},
            "version": {"N": "1"},
        }

    @pytest.mark.every_engine
    def test_a_fresh_entity_overwrites_the_known_attributes_and_no_others(
        self, store: Store, raw_put: RawPut, raw_get: RawGet
    ) -> None:
        name = table(store, CALCULATION_RULE)
        raw_put(name, wire(*KEY, formula="old", description="old", vestingTiers={"L": [{"N": "1.5"}]}))
        written = store.calculation_rules.put(RULE)
        item = raw_get(name, KEY) or {}
        assert item["formula"] == {"S": "x"}
        assert "description" not in item  # None removes
        assert item["vestingTiers"] == {"L": [{"N": "1.5"}]}
        assert item["version"] == {"N": "1"}
        assert written.extra["vestingTiers"] == (Decimal("1.5"),)

    @pytest.mark.every_engine
    def test_a_read_entity_is_checked_against_its_version(self, store: Store) -> None:
        first = store.calculation_rules.put(RULE)
        second = store.calculation_rules.put(first.model_copy(update={"formula": "y"}))
        assert (second.version, second.formula) == (2, "y")
        with pytest.raises(VersionConflictError) as caught:
            store.calculation_rules.put(first.model_copy(update={"formula": "z"}))
        assert (caught.value.expected, caught.value.found) == (1, 2)
        assert store.calculation_rules.get("ACME", "match") == second

    @pytest.mark.every_engine
    def test_none_removes_an_attribute(self, store: Store, raw_get: RawGet) -> None:
        made = store.calculation_rules.put(RULE)
        store.calculation_rules.put(made.model_copy(update={"formula": None}))
        assert "formula" not in (raw_get(table(store, CALCULATION_RULE), KEY) or {})
        assert store.calculation_rules.get("ACME", "match").formula is None

    @pytest.mark.every_engine
    def test_absent_creates_and_never_overwrites(self, store: Store) -> None:
        made = store.calculation_rules.put(RULE, expected=ABSENT)
        assert made.version == 1
        for entity in (RULE, made):
            with pytest.raises(AlreadyExistsError, match="CALC#match"):
                store.calculation_rules.put(entity, expected=ABSENT)

    def test_any_overwrites_whatever_version_is_there(self, store: Store) -> None:
        first = store.calculation_rules.put(RULE, expected=ANY)
        store.calculation_rules.put(first.model_copy(update={"formula": "y"}))
        third = store.calculation_rules.put(first, expected=ANY)
        assert (third.version, third.formula) == (3, "x")

    @pytest.mark.parametrize("expected", [0, 1, 3])
    def test_a_version_that_the_item_does_not_have_is_refused(self, store: Store, expected: int) -> None:
        second = store.calculation_rules.put(store.calculation_rules.put(RULE))
        for write in (store.calculation_rules.put, store.calculation_rules.delete):
            with pytest.raises(VersionConflictError) as caught:
                write(second, expected=expected)
            assert (caught.value.expected, caught.value.found) == (expected, 2)
        assert store.calculation_rules.put(RULE, expected=2).version == 3

    def test_a_version_of_an_item_that_is_not_there_is_refused(self, store: Store) -> None:
        for write in (store.calculation_rules.put, store.calculation_rules.delete):
            with pytest.raises(VersionConflictError) as caught:
                write(RULE, expected=1)
            assert caught.value.found is None

    def test_an_item_deleted_meanwhile_is_not_brought_back(
        self, store: Store, raw_put: RawPut, raw_get: RawGet
    ) -> None:
        versioned = store.calculation_rules.put(RULE)
        raw_put(table(store, CALCULATION_RULE), wire("CLIENT#ACME", "CALC#other"))
        foreign = store.calculation_rules.get("ACME", "other")
        for read in (versioned, foreign):
            store.calculation_rules.delete(read, expected=ANY)
            with pytest.raises(VersionConflictError) as caught:
                store.calculation_rules.put(read.model_copy(update={"formula": "y"}))
            assert caught.value.found is None
            assert read.origin is not None
            assert raw_get(table(store, CALCULATION_RULE), read.origin.key) is None

    @pytest.mark.every_engine
    def test_an_item_without_a_version_is_version_0(self, store: Store, raw_put: RawPut) -> None:
        raw_put(table(store, CALCULATION_RULE), wire(*KEY, formula="old"))
        read = store.calculation_rules.get("ACME", "match")
        assert read.version == 0
        written = store.calculation_rules.put(read.model_copy(update={"formula": "new"}))
        assert (written.version, written.formula) == (1, "new")
        with pytest.raises(VersionConflictError) as caught:
            store.calculation_rules.put(read)
        assert (caught.value.expected, caught.value.found) == (0, 1)

    def test_version_0_can_be_asked_for(self, store: Store, raw_put: RawPut) -> None:
        raw_put(table(store, CALCULATION_RULE), wire(*KEY))
        assert store.calculation_rules.put(RULE, expected=0).version == 1

    def test_a_write_that_changes_nothing_counts_as_one(self, store: Store) -> None:
        made = store.calculation_rules.put(RULE)
        assert store.calculation_rules.put(made).version == 2

    def test_a_changed_identity_is_another_item(self, store: Store, raw_put: RawPut) -> None:
        raw_put(table(store, CALCULATION_RULE), wire("CLIENT#GLOBAL", "CALC#match", formula="g", vestingTiers="x"))
        read = store.calculation_rules.get("ACME", "match")
        own = store.calculation_rules.put(read.model_copy(update={"plan_id": "ACME"}))
        assert (own.version, own.formula, dict(own.extra)) == (1, "g", {})  # only what the entity knows moves along
        assert store.calculation_rules.get("ZED", "match") == read

    @pytest.mark.every_engine
    def test_deleting_is_checked_like_writing(self, store: Store) -> None:
        first = store.calculation_rules.put(RULE)
        second = store.calculation_rules.put(first)
        with pytest.raises(VersionConflictError):
            store.calculation_rules.delete(first)
        with pytest.raises(AlreadyExistsError):
            store.calculation_rules.delete(RULE, expected=ABSENT)
        store.calculation_rules.delete(second)
        with pytest.raises(VersionConflictError) as caught:
            store.calculation_rules.delete(second)
        assert caught.value.found is None

    def test_deleting_what_is_not_there_is_no_error_when_nothing_was_expected(self, store: Store) -> None:
        read = store.calculation_rules.put(RULE)
        store.calculation_rules.delete(RULE)
        store.calculation_rules.delete(RULE)
        store.calculation_rules.delete(read, expected=ANY)
        assert dict(store.calculation_rules.all("ACME")) == {}

    def test_an_entity_that_is_not_valid_is_refused_and_nothing_written(self, store: Store) -> None:
        made = store.calculation_rules.put(RULE)
        for update in ({"max_pct": 1.5}, {"age_threshold": -1}, {"formula": "\ud800"}, {"unknown": "x"}):
            with pytest.raises(InvalidEntityError):
                store.calculation_rules.put(made.model_copy(update=update))
        with pytest.raises(InvalidEntityError, match="CalculationRule"):
            store.calculation_rules.put(IrsLimits(year=2026))  # type: ignore[arg-type]  # wrong on purpose
        with pytest.raises(ItemTooLargeError):
            store.calculation_rules.put(made.model_copy(update={"description": "x" * 410_000}))
        assert store.calculation_rules.get("ACME", "match").version == 1

    def test_the_callers_entity_does_not_change(self, store: Store) -> None:
        made = store.calculation_rules.put(RULE)
        store.calculation_rules.put(made.model_copy(update={"formula": "y"}))
        assert (RULE.version, made.version, made.formula) == (None, 1, "x")

    @pytest.mark.every_engine
    def test_numbers_of_38_digits_are_kept_exactly(self, store: Store) -> None:
        for text in ("1234567890123456789012345678.9012345678", "-0.1", "1E-130", "9.9E+125", "0"):
            store.irs_limits.put(IrsLimits(year=2026, max_401k=Decimal(text)))
            assert store.irs_limits.get(2026).max_401k == Decimal(text)

    @pytest.mark.every_engine
    def test_of_two_who_change_what_they_read_one_wins(self, store: Store) -> None:
        if not self.isolated_transactions:
            pytest.skip("this target does not isolate transactions")
        read = store.calculation_rules.put(RULE)
        answers = at_once(
            [partial(store.calculation_rules.put, read.model_copy(update={"formula": str(n)})) for n in range(6)]
        )
        winners = [answer for answer in answers if not isinstance(answer, BlueStarError)]
        assert len(winners) == 1
        assert all(isinstance(answer, VersionConflictError) for answer in answers if answer is not winners[0])
        assert store.calculation_rules.get("ACME", "match") == winners[0]

    @pytest.mark.every_engine
    def test_of_many_who_expect_nothing_all_get_through(self, store: Store) -> None:
        if not self.isolated_transactions:
            pytest.skip("this target does not isolate transactions")
        answers = at_once([lambda: store.calculation_rules.put(RULE) for _ in range(4)])
        assert sorted(answer.version for answer in answers) == [1, 2, 3, 4]


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """What each call returned or raised, all of them started together."""

    def outcome(call: Callable[[], Any]) -> Any:
        try:
            return call()
        except BlueStarError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as executor:
        return list(executor.map(outcome, calls))
