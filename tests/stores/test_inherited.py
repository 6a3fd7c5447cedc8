"""What a plan inherits is not changed through that plan, and is as quick to read and as equal as before."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable, Iterator
from copy import copy, deepcopy
from decimal import Decimal
from typing import Any

import pytest

from bluestar_store import (
    ABSENT,
    ANY,
    AchConfig,
    AlreadyExistsError,
    AsyncStore,
    BlueStarError,
    CalculationRule,
    ClientConfig,
    Entity,
    InheritedRuleError,
    InvalidKeyError,
    PipelineStep,
    Store,
    ValidationRule,
    VendorSchema,
    seeding,
)
from bluestar_store.mapping.canonical import canonical
from bluestar_store.repositories import inherited
from bluestar_store.testing import FakeRepository
from tests.own_kinds import PAY_CALENDAR, PayCalendar, PayCalendars
from tests.seeded import seeded_store

PLAN, OTHER = "NORTHWIND", "UNRELATED"


@pytest.fixture
def store() -> Iterator[Store]:
    with seeded_store(kinds=[PAY_CALENDAR]) as store:
        store.ach_configs.put(AchConfig(plan_id="DEFAULT", pay_freq="Weekly", ach_method="SFTP"), expected=ANY)
        store.repository(PAY_CALENDAR, PayCalendars).put(PayCalendar(plan_id="DEFAULT", year=2026, pay_days=("a",)))
        columns = ("SSN", "Hours")
        store.vendor_schemas.put(
            VendorSchema(vendor_id="V1", fingerprint=VendorSchema.fingerprint_of(columns), columns=columns)
        )
        yield store


READS: dict[str, Callable[[Store, str], Entity]] = {
    "calculation rule": lambda store, plan: store.calculation_rules.get(plan, "match"),
    "calculation rules": lambda store, plan: store.calculation_rules.all(plan)["match"],
    "validation rule": lambda store, plan: store.validation_rules.for_category("SSN", plan)[0],
    "client config": lambda store, plan: store.client_configs.get(plan, "Weekly"),
    "ach config": lambda store, plan: store.ach_configs.get(plan, "Weekly"),
    "pipeline": lambda store, plan: store.pipelines.steps(plan, "Weekly")[0],
    "own kind": lambda store, plan: store.repository(PAY_CALENDAR, PayCalendars).get(plan, 2026),
    "vendor schema": lambda store, plan: store.vendor_schemas.for_plan("V1", plan, "Weekly"),
    "snapshot's steps": lambda store, plan: store.plan_snapshot(plan, "Weekly", 2026).steps[0],
    "snapshot's rules": lambda store, plan: store.plan_snapshot(plan, "Weekly", 2026).calculation_rules["match"],
    "snapshot's validation": lambda store, plan: store.plan_snapshot(plan, "Weekly", 2026).validation_rules["SSN"][0],
    "snapshot's config": lambda store, plan: _config(store, plan),
}
CHANGES: dict[type[Entity], dict[str, Any]] = {
    CalculationRule: {"max_pct": Decimal(1)},
    ValidationRule: {"message": "other"},
    ClientConfig: {"deadline_hour": 9},
    AchConfig: {"ach_method": "API"},
    PipelineStep: {"timeout_seconds": 1},
    PayCalendar: {"pay_days": ("b",)},
    VendorSchema: {"mapping": {"SSN": "ssn"}},
}


def _config(store: Store, plan: str) -> Entity:
    config = store.plan_snapshot(plan, "Weekly", 2026).client_config
    assert config is not None
    return config


def _repository(store: Store, entity: Entity) -> Any:
    mapper = next(mapper for mapper in store.tables.kinds if mapper.entity is type(entity))
    return store.pipelines if isinstance(entity, PipelineStep) else store.repository(mapper)


@pytest.fixture(params=list(READS))
def read(request: pytest.FixtureRequest) -> Callable[[Store, str], Entity]:
    return READS[request.param]


def test_what_is_inherited_knows_for_which_plan_and_so_do_its_copies(
    store: Store, read: Callable[[Store, str], Entity]
) -> None:
    for _ in range(3):  # loaded, then from the cache
        found = read(store, PLAN)
        assert found.inherited_by == PLAN
        assert read(store, OTHER).inherited_by == OTHER
        changed = found.model_copy(update=CHANGES[type(found)])
        for one in (changed, copy(found), deepcopy(found), found.model_copy(deep=True)):
            assert (one.inherited_by, one.version) == (PLAN, 1)
        assert pickle.loads(pickle.dumps(found)).inherited_by == PLAN  # noqa: S301  # our own


def test_what_is_made_anew_of_what_is_inherited_is_the_levels_that_it_names(store: Store) -> None:
    found = store.calculation_rules.get(PLAN, "match").model_copy(update={"max_pct": Decimal(1)})
    for anew in (
        CalculationRule(**found.model_dump()),
        CalculationRule.model_validate_json(found.model_dump_json()),
    ):
        assert (anew.plan_id, anew.inherited_by, anew.version) == ("GLOBAL", None, None)
        store.calculation_rules.put(anew, expected=ANY)
    assert store.calculation_rules.get(OTHER, "match").max_pct == 1


def test_a_write_of_what_is_inherited_is_refused_and_changes_nothing(
    store: Store, read: Callable[[Store, str], Entity]
) -> None:
    found = read(store, PLAN)
    changed = found.model_copy(update=CHANGES[type(found)])
    repository = _repository(store, found)
    for expected in (None, ANY, ABSENT, 1):
        with pytest.raises(InheritedRuleError, match=PLAN) as caught:
            repository.put(changed, expected)
        assert isinstance(caught.value, BlueStarError)
        assert caught.value.plan_id == PLAN
        if hasattr(repository, "delete"):
            with pytest.raises(InheritedRuleError):
                repository.delete(found, expected)
    limits = store.irs_limits.get(2026).model_copy(update={"hce_threshold": Decimal(1)})
    with pytest.raises(InheritedRuleError), store.unit_of_work():  # noqa: PT012  # nothing of the unit is written
        store.irs_limits.put(limits)
        repository.put(changed)
    with pytest.raises(InheritedRuleError), store.unit_of_work():
        repository.put(read(store, PLAN).model_copy(update=CHANGES[type(found)]))  # as the unit reads it
    with pytest.raises(InheritedRuleError):
        seeding.RuleSet((changed,))
    assert read(store, OTHER) == found == read(store, PLAN)
    assert read(store, OTHER).version == 1
    assert store.irs_limits.get(2026).version == 1


def test_the_error_names_the_two_ways_and_both_work(store: Store) -> None:
    rule = store.calculation_rules.get(PLAN, "match")
    with pytest.raises(InheritedRuleError) as caught:
        store.calculation_rules.put(rule)
    assert 'rule.for_plan("NORTHWIND")' in str(caught.value)
    assert 'get("GLOBAL", ' in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301  # our own

    own = store.calculation_rules.put(rule.for_plan(PLAN).model_copy(update={"max_pct": Decimal(1)}))
    assert (own.plan_id, own.inherited_by, own.formula, own.version) == (PLAN, None, rule.formula, 1)
    assert store.calculation_rules.get(PLAN, "match") == own
    assert store.calculation_rules.get(PLAN, "match").inherited_by is None
    assert store.calculation_rules.get(OTHER, "match") == rule

    named = store.calculation_rules.get("GLOBAL", "match")
    assert named.inherited_by is None
    store.calculation_rules.put(named.model_copy(update={"max_pct": Decimal(2)}))
    assert store.calculation_rules.get(OTHER, "match").max_pct == 2
    assert store.calculation_rules.get(OTHER, "match").inherited_by == OTHER
    assert store.calculation_rules.get(PLAN, "match").max_pct == 1


def test_every_kind_has_its_own_copy_for_a_plan(store: Store, read: Callable[[Store, str], Entity]) -> None:
    found = read(store, PLAN)
    if isinstance(found, VendorSchema):  # a vendor has one schema for the same columns: a plan's own has others
        columns = ("SSN", "Hours", "Plan")
        own: Any = found.model_copy(
            update={"plan_id": PLAN, "columns": columns, "fingerprint": VendorSchema.fingerprint_of(columns)}
        )
        store.vendor_schemas.put(own)
    elif isinstance(found, PipelineStep):
        steps = store.pipelines.steps(PLAN, "Weekly")
        for wrong in (steps, [found.for_plan(PLAN), *steps[1:]]):
            with pytest.raises(InheritedRuleError):
                store.pipelines.replace(PLAN, "Weekly", wrong)
        store.pipelines.replace("DEFAULT", "Weekly", steps)  # who says DEFAULT means it
        store.pipelines.replace(PLAN, "Weekly", [step.for_plan(PLAN) for step in steps])
    else:
        assert isinstance(found, CalculationRule | ValidationRule | ClientConfig | AchConfig | PayCalendar)
        own = found.for_plan(PLAN)
        assert own.origin is None
        assert own.for_plan(PLAN) is own
        _repository(store, found).put(own, ABSENT)
    mine = read(store, PLAN)
    assert mine.inherited_by is None
    assert read(store, OTHER).inherited_by == OTHER
    assert read(store, OTHER) == found
    _repository(store, mine).put(mine.model_copy(update=CHANGES[type(mine)]))  # it is the plan's own, to be changed
    assert read(store, OTHER) == found


def test_what_is_read_by_name_is_not_inherited(store: Store) -> None:
    named: list[Entity] = [
        store.calculation_rules.get("GLOBAL", "match"),
        store.calculation_rules.all("GLOBAL")["match"],
        *store.validation_rules.for_category("SSN"),
        *store.validation_rules.at_level("SSN"),
        store.client_configs.get("DEFAULT", "Weekly"),
        *store.pipelines.steps("DEFAULT", "Weekly"),
        store.repository(PAY_CALENDAR, PayCalendars).get("DEFAULT", 2026),
        store.irs_limits.get(2026),
        *store.vendor_schemas.for_vendor("V1"),
    ]
    assert {one.inherited_by for one in named} == {None}


def test_equality_hash_repr_and_what_is_written_out_are_those_of_the_rule_read_by_name(store: Store) -> None:
    one, named = store.calculation_rules.get(PLAN, "match"), store.calculation_rules.get("GLOBAL", "match")
    assert one == named
    assert hash(one) == hash(named)
    assert repr(one) == repr(named)
    assert one.model_dump() == named.model_dump()
    assert one.model_dump_json() == named.model_dump_json()
    assert one.model_fields_set == named.model_fields_set
    assert canonical(one) == canonical(named)
    assert (one.scope, one.version, one.extra, one.origin) == (named.scope, named.version, named.extra, named.origin)


def test_an_own_rule_is_pickled_as_before(store: Store) -> None:
    state = store.calculation_rules.get("GLOBAL", "match").__getstate__()
    assert "inherited_by" not in state


def test_a_copy_for_another_plan_is_that_plans(store: Store) -> None:
    rule = store.calculation_rules.get(PLAN, "match").model_copy(update={"plan_id": PLAN, "max_pct": Decimal(3)})
    assert rule.inherited_by is None
    assert store.calculation_rules.put(rule).plan_id == PLAN
    assert store.calculation_rules.get(OTHER, "match").max_pct == 6


def test_a_vendors_schema_cannot_become_a_plans_under_its_own_key(store: Store) -> None:
    schema = store.vendor_schemas.for_plan("V1", PLAN, "Weekly").model_copy(update={"plan_id": PLAN})
    with pytest.raises(InheritedRuleError, match="schema of its own"):
        store.vendor_schemas.put(schema)
    assert store.vendor_schemas.for_plan("V1", OTHER, "Weekly").plan_id is None


@pytest.mark.parametrize("name", ["DEFAULT", "", "A#B"])
def test_a_copy_is_for_a_plan(store: Store, name: str) -> None:
    with pytest.raises(InvalidKeyError):
        store.calculation_rules.get(PLAN, "match").for_plan(name)


def test_there_is_one_twin_for_each_cached_entry(store: Store) -> None:
    reads: list[Callable[[], object]] = [
        lambda: store.calculation_rules.get(PLAN, "match"),
        lambda: store.calculation_rules.all(PLAN),
        lambda: store.validation_rules.for_category("SSN", PLAN),
        lambda: store.client_configs.get(PLAN, "Weekly"),
        lambda: store.pipelines.steps(PLAN, "Weekly"),
    ]
    for read in reads:
        read()
        assert read() is read()
    rule = store.calculation_rules.get(PLAN, "match")
    assert rule.origin is store.calculation_rules.get("GLOBAL", "match").origin  # and it shares what that one says
    named = store.calculation_rules.get("GLOBAL", "match")
    store.calculation_rules.put(named.model_copy(update={"max_pct": Decimal(5)}))
    assert store.calculation_rules.get(PLAN, "match").max_pct == 5
    assert store.calculation_rules.all(PLAN)["match"].max_pct == 5


def test_derived_answers_are_bounded_and_none_is_kept_where_nothing_is_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inherited, "MAX_BYTES", 10 * (inherited.ANSWER_BYTES + inherited.COPY_BYTES))
    for entries, most in ((100_000, 10), (0, 0)):
        with seeded_store(cache_max_entries=entries) as store:
            for number in range(100):
                for _ in range(3):
                    assert store.calculation_rules.get(f"P{number}", "match").inherited_by == f"P{number}"
            assert len(store.calculation_rules._derived._kept) <= most


def test_a_unit_that_checks_what_a_plan_inherits_fails_when_the_plan_gets_its_own(store: Store) -> None:
    rule = store.calculation_rules.get(PLAN, "match")
    with store.unit_of_work() as uow:
        uow.check(rule)
        uow.holds.place(PLAN, "stands")
    store.calculation_rules.put(rule.for_plan(PLAN))
    with pytest.raises(AlreadyExistsError), store.unit_of_work() as uow:  # noqa: PT012  # its commit is refused
        uow.check(rule)
        uow.holds.place(PLAN, "does not")
    assert [hold.reason for hold in store.holds.for_plan(PLAN)] == ["stands"]


def test_an_async_store_refuses_it_too(store: Store) -> None:
    async def change() -> None:
        async with AsyncStore(store) as other:
            for _ in range(2):
                rule = await other.calculation_rules.get(PLAN, "match")
                with pytest.raises(InheritedRuleError):
                    await other.calculation_rules.put(rule.model_copy(update={"max_pct": Decimal(1)}))
                with pytest.raises(InheritedRuleError):
                    async with other.unit_of_work() as uow:
                        await uow.calculation_rules.delete(rule)
            await other.calculation_rules.put(rule.for_plan(PLAN))

    asyncio.run(change())


def test_a_fake_takes_what_was_inherited_elsewhere_and_its_plans_inherit(store: Store) -> None:
    kind = store.calculation_rules.mapper
    fake = FakeRepository(kind, [store.calculation_rules.get(PLAN, "match")])
    assert fake.get(PLAN, "match").inherited_by == PLAN
    with pytest.raises(InheritedRuleError):
        fake.put(fake.get(PLAN, "match"))


def test_what_a_plan_inherits_is_not_made_another_item_of_the_level(store: Store) -> None:
    rule = store.calculation_rules.get(PLAN, "match")
    config = store.client_configs.get(PLAN, "Weekly")
    other = rule.model_copy(update={"calc_type": "another"})
    for refused in (
        lambda: store.calculation_rules.put(other),
        lambda: store.calculation_rules.delete(other),
        lambda: store.client_configs.put(config.model_copy(update={"pay_freq": "Monthly"})),
    ):
        with pytest.raises(InheritedRuleError):
            refused()
    own = store.calculation_rules.put(other.for_plan(PLAN))
    assert (own.plan_id, own.calc_type) == (PLAN, "another")
