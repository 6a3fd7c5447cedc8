"""`bluestar_store.repositories`: what a Store's attributes are, by public names."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, get_origin, get_type_hints

import pytest

from bluestar_store import AsyncStore, CalculationRule, ConfigurationError, Settings, Store, repositories
from bluestar_store.models.registry import KINDS
from bluestar_store.repositories import CalculationRuleRepository, HasSessions, Reader, Repository
from tests.own_kinds import PAY_CALENDAR, PayCalendar

MEMORY = Settings(persistence_mode="memory")
ATTRIBUTES = {mapper.in_store: mapper.repository for mapper in KINDS if mapper.in_store and mapper.repository}
PUBLIC = {name: repository.partition(":")[2] for name, repository in ATTRIBUTES.items()}


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.open(MEMORY) as store:
        store.create_tables()
        yield store


def test_every_repository_of_a_store_has_a_public_class(store: Store) -> None:
    found = {name: type(value) for name, value in vars(store).items() if isinstance(value, Reader)}
    assert found == {name: getattr(repositories, public) for name, public in PUBLIC.items()}
    assert set(PUBLIC.values()) <= set(repositories.__all__) <= set(dir(repositories))


def test_type_checkers_are_told_of_each_by_the_class_that_its_mapper_names(store: Store) -> None:
    assert Store.__annotations__ == PUBLIC
    awaited = get_type_hints(AsyncStore)
    found = {name: type(getattr(AsyncStore(store), name)) for name in PUBLIC}
    assert found == {name: get_origin(hint) or hint for name, hint in awaited.items()}


@pytest.mark.parametrize("name", PUBLIC)
def test_one_is_made_of_a_store_and_is_of_the_same_kind(store: Store, name: str) -> None:
    made = getattr(repositories, PUBLIC[name])(store)
    assert made.mapper is getattr(store, name).mapper


def test_what_one_writes_the_stores_own_reads_and_within_its_unit_of_work(store: Store) -> None:
    rules: CalculationRuleRepository = CalculationRuleRepository(store)
    rule = rules.put(CalculationRule(plan_id="ACME", calc_type="match", formula="age * 2"))
    assert store.calculation_rules.get("ACME", "match") == rule
    with store.unit_of_work():
        rules.put(rule.model_copy(update={"formula": "age"}))
        assert store.calculation_rules.get("ACME", "match").formula == "age"
    assert rules.get("ACME", "match").formula == "age"


def test_subclasses_have_public_names_to_read_by(store: Store) -> None:
    store.calculation_rules.put(CalculationRule(plan_id="ACME", calc_type="match"))
    rules = Repository(store.sessions, store.calculation_rules.mapper)
    found = rules.first(("ACME", "match"), ("GLOBAL", "match"), fresh=True)
    assert found is not None
    assert rules.partitions(("ACME",), fresh=False) == [(found,)]
    assert "calculation-rules" in str(rules.not_found("nothing"))
    assert rules._first(("ACME", "match"), fresh=True) == found  # as release 0.1.0 has it


def test_the_package_is_imported_without_what_its_names_need() -> None:
    code = (
        "import sys, bluestar_store.repositories; print({'pynamodb', 'botocore', 'redis'} & set(sys.modules) or 'none')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "none\n"


class Calendars(Repository[PayCalendar]):
    """A user's repository, which a Store makes of itself."""

    def __init__(self, store: HasSessions) -> None:
        super().__init__(store.sessions, HELD)

    def of(self, plan_id: str, *, fresh: bool = False) -> PayCalendar | None:
        return self.first((plan_id, 2026), fresh=fresh)


HELD = replace(PAY_CALENDAR, in_store="pay_calendars", repository=f"{__name__}:Calendars")


def test_a_users_kind_is_an_attribute_of_a_store_and_awaited_where_its_mapper_says_so() -> None:
    calendar = PayCalendar(plan_id="ACME", year=2026, pay_days=("2026-01-09",))
    with Store.open(MEMORY, kinds=[HELD]) as opened:
        opened.create_tables()
        calendars: Calendars = getattr(opened, "pay_calendars")  # noqa: B009  # no type checker knows of it
        calendars.put(calendar)
        assert opened.repository(HELD) is calendars
        awaited = getattr(AsyncStore(opened), "pay_calendars")  # noqa: B009
        assert asyncio.run(awaited.of("ACME")) == calendar
        with pytest.raises(AttributeError):
            awaited.nothing  # noqa: B018


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"in_store": "holds"}, "a Store has an attribute holds already"),
        ({"in_store": "create_tables"}, "a Store has an attribute create_tables already"),
        ({"in_store": "pay days"}, "in_store 'pay days' is no name that an attribute of a Store can have"),
        ({"in_store": "_days"}, "in_store '_days' is no name"),
        ({"repository": "payroll:Calendars"}, "needs in_store"),
        ({"in_store": "days", "repository": "payroll:Calendars"}, "cannot be imported (ModuleNotFoundError"),
        ({"in_store": "days", "repository": f"{__name__}:Nothing"}, "cannot be imported (AttributeError"),
        ({"in_store": "days", "repository": f"{__name__}:PUBLIC"}, "is no subclass of Repository"),
    ],
)
def test_a_mapper_that_names_no_repository_or_a_name_that_is_taken_is_refused(given: Any, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=f"kind pay-calendar: .*{re.escape(reason)}"):
        Store.open(MEMORY, kinds=[replace(PAY_CALENDAR, **given)])
