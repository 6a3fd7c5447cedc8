"""The repository without a Store behaves as those of a Store do."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, assert_type

import pytest

from bluestar_store import (
    ABSENT,
    AlreadyExistsError,
    CalculationRule,
    ClientConfig,
    ConfigNotFoundError,
    InvalidEntityError,
    InvalidKeyError,
    IrsLimits,
    LimitsNotFoundError,
    PipelineNotFoundError,
    PipelineStep,
    RuleNotFoundError,
    Settings,
    Store,
    ThrottledError,
    VersionConflictError,
)
from bluestar_store.extending import CLIENT_CONFIG, Repository
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.models.limits import IRS_LIMITS
from bluestar_store.models.pipeline import PIPELINE_STEP
from bluestar_store.testing import READS, FakeRepository
from tests.own_kinds import PAY_CALENDAR, PayCalendar, PayCalendarNotFoundError, PayCalendars


def rule(max_pct: int, plan_id: str = "ACME", calc_type: str = "match") -> CalculationRule:
    return CalculationRule(plan_id=plan_id, calc_type=calc_type, max_pct=Decimal(max_pct))


@pytest.fixture
def rules() -> FakeRepository[CalculationRule]:
    return FakeRepository(CALCULATION_RULE, [rule(6, "GLOBAL"), rule(4)])


@pytest.fixture(params=["fake", "of a Store"])
def either(request: pytest.FixtureRequest, bluestar_store: Store) -> Repository[CalculationRule]:
    """The fake, and what it stands in for."""
    if request.param == "fake":
        return FakeRepository(CALCULATION_RULE)
    return bluestar_store.calculation_rules


def outcomes(repository: Repository[CalculationRule]) -> list[Any]:
    """What becomes of a number of writes, errors by their class and text."""
    first = repository.put(rule(1, "OMEGA", "own"), expected=ABSENT)
    second = repository.put(first.model_copy(update={"max_pct": Decimal(2)}))
    wrong: Any = rule(1).model_copy(update={"max_pct": "much"})
    calls: list[Callable[[], object]] = [
        lambda: repository.put(first.model_copy(update={"max_pct": Decimal(3)})),
        lambda: repository.put(second, expected=ABSENT),
        lambda: repository.put(rule(5, "OMEGA", "own"), expected=7),
        lambda: repository.put(rule(5, "OMEGA", "other"), expected=1),
        lambda: repository.put(rule(1, "A#B")),
        lambda: repository.put(rule(1, "DEFAULT")),
        lambda: repository.put(wrong),
        lambda: repository.put(rule(5, "OMEGA", "own")),
        lambda: repository.delete(second),
        lambda: repository.delete(rule(1, "OMEGA", "none")),
        lambda: repository.delete(repository.put(rule(9, "OMEGA", "own"))),
        lambda: repository.put(second),
        lambda: list(repository.current([second])),
    ]
    found: list[Any] = [first.version, second.version]
    for call in calls:
        try:
            answer = call()
            found.append((answer, getattr(answer, "version", None)))
        except Exception as error:  # whatever it is, the other one has to raise it too
            found.append((type(error), str(error)))
    return found


def test_it_writes_and_refuses_as_the_repository_of_a_store(bluestar_store: Store) -> None:
    assert outcomes(FakeRepository(CALCULATION_RULE)) == outcomes(bluestar_store.calculation_rules)


def test_versions_are_counted_and_checked(either: Repository[CalculationRule]) -> None:
    one = either.put(rule(1), expected=ABSENT)
    assert one.version == 1
    assert either.put(one.model_copy(update={"max_pct": Decimal(2)})).version == 2
    with pytest.raises(VersionConflictError):
        either.put(one.model_copy(update={"max_pct": Decimal(3)}))
    with pytest.raises(AlreadyExistsError):
        either.put(rule(1), expected=ABSENT)
    with pytest.raises(InvalidKeyError):
        either.put(rule(1, "A#B"))


def test_the_plans_own_is_found_else_the_level_that_plans_fall_back_to(rules: FakeRepository[CalculationRule]) -> None:
    found = rules.get("ACME", "match")
    assert_type(found, CalculationRule)
    assert found.max_pct == 4
    assert found.version == 1
    assert rules.get("OMEGA", "match", fresh=True).max_pct == 6
    assert rules.get("GLOBAL", "match").max_pct == 6
    configs = FakeRepository(CLIENT_CONFIG, [ClientConfig(plan_id="DEFAULT", pay_freq="Weekly", custodian="Any")])
    assert configs.get("ACME", "Weekly").custodian == "Any"


def test_steps_have_no_fallback_one_by_one() -> None:
    steps = FakeRepository(PIPELINE_STEP, [PipelineStep(plan_id="DEFAULT", pay_freq="Weekly", step_order=100)])
    assert steps.get("DEFAULT", "Weekly", 100).step_order == 100
    with pytest.raises(PipelineNotFoundError):
        steps.get("ACME", "Weekly", 100)


def test_what_is_missing_is_the_error_of_its_kind(rules: FakeRepository[CalculationRule]) -> None:
    with pytest.raises(RuleNotFoundError, match="no calculation-rule plan_id='ACME', calc_type='bonus'"):
        rules.get("ACME", "bonus")
    with pytest.raises(LimitsNotFoundError):
        FakeRepository(IRS_LIMITS, [IrsLimits(year=2026)]).get(2027)
    with pytest.raises(ConfigNotFoundError):
        FakeRepository(CLIENT_CONFIG).get("ACME", "Weekly")
    with pytest.raises(InvalidKeyError):
        rules.get("A#B", "match")
    with pytest.raises(TypeError, match="is found by plan_id, calc_type, not by 1 values"):
        rules.get("ACME")


def test_all_are_given_by_their_keys(rules: FakeRepository[CalculationRule]) -> None:
    rules.put(rule(1, "ACME", "bonus"))
    found = rules.all()
    assert [(one.plan_id, one.calc_type) for one in found] == [
        ("ACME", "bonus"),
        ("ACME", "match"),
        ("GLOBAL", "match"),
    ]
    assert len(rules) == 3
    rules.delete(found[0])
    assert len(rules) == 2


def test_numbers_are_in_the_order_of_numbers() -> None:
    steps = FakeRepository(
        PIPELINE_STEP,
        [PipelineStep(plan_id="ACME", pay_freq="Weekly", step_order=number) for number in (10_000, 300, 9_999)],
    )
    assert [step.step_order for step in steps.all()] == [300, 9_999, 10_000]


def test_an_entity_that_is_none_is_refused() -> None:
    wrong: Any = IrsLimits(year=2026)
    with pytest.raises(InvalidEntityError):
        FakeRepository(CALCULATION_RULE, [wrong])


def test_it_says_who_wrote_as_the_repository_of_a_store_does(either: Repository[CalculationRule]) -> None:
    assert either.put(rule(4), actor="ann").written_by == "ann"
    with pytest.raises(InvalidEntityError, match=r"^actor "):
        either.delete(rule(4), actor="")


def test_two_fakes_have_nothing_in_common(rules: FakeRepository[CalculationRule]) -> None:
    assert len(FakeRepository(CALCULATION_RULE)) == 0
    assert len(rules) == 2


def test_its_calls_can_fail(rules: FakeRepository[CalculationRule]) -> None:
    assert rules.faults.calls == []
    rules.faults.fail(READS, ThrottledError, times=1)
    with pytest.raises(ThrottledError):
        rules.get("ACME", "match")
    assert rules.get("ACME", "match").max_pct == 4
    assert rules.faults.counts == {"get": 2}


class FakeCalendars(PayCalendars, FakeRepository[PayCalendar]):
    """A team's own repository, as it is, over memory."""


def test_a_teams_own_kind_and_repository_have_a_fake() -> None:
    calendars = FakeCalendars(PAY_CALENDAR, [PayCalendar(plan_id="DEFAULT", year=2026, pay_days=("2026-01-02",))])
    found = calendars.get("ACME", 2026)
    assert_type(found, PayCalendar)
    assert found.pay_days == ("2026-01-02",)
    with pytest.raises(PayCalendarNotFoundError, match="no pay days for plan 'ACME' in 2027"):
        calendars.get("ACME", 2027)
    plain = FakeRepository(PAY_CALENDAR, calendars.all())
    assert plain.get("ACME", 2026) == found


def test_a_fake_is_a_repository_for_whoever_asks_for_one(rules: FakeRepository[CalculationRule]) -> None:
    def cap(repository: Repository[CalculationRule], entity: CalculationRule) -> CalculationRule:
        return repository.put(entity.model_copy(update={"max_pct": Decimal(3)}))

    assert cap(rules, rules.get("ACME", "match")).version == 2
    with Store.open(Settings(persistence_mode="memory")) as store:
        store.create_tables()
        assert cap(store.calculation_rules, rule(9)).version == 1
