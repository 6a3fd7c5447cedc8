"""What no plan reaches of a user's kinds is found by what their keys and indexes say."""

from __future__ import annotations

import pytest
from pynamodb.attributes import UnicodeAttribute

from bluestar_store import NotFoundError, Settings, Store
from bluestar_store.extending import Entity, IntegerAttribute, ItemKeys, LevelModel, Mapper, PlanEntity
from bluestar_store.protocols import Item
from tests.doctor.conftest import told
from tests.store_suite.side_door import wire


class Holiday(Entity):
    year: int
    name: str
    plan_id: str | None = None


class HolidayModel(LevelModel):
    class Meta:
        table_name = "holidays"

    year = IntegerAttribute(null=True)
    name = UnicodeAttribute(null=True)
    plan_id = UnicodeAttribute(null=True)


class Cutoff(PlanEntity):
    pay_freq: str
    hour: int | None = None


class CutoffModel(LevelModel):
    class Meta:
        table_name = "cutoffs"

    plan_id = UnicodeAttribute(null=True)
    pay_freq = UnicodeAttribute(null=True)
    hour = IntegerAttribute(null=True)


def _index(holiday: Holiday) -> dict[str, str]:
    return {"bs_kind": "holiday", "bs_level": f"{holiday.plan_id or ''}#{holiday.year:04d}#{holiday.name}"}


HOLIDAY = Mapper(
    "holiday", Holiday, HolidayModel, ItemKeys.of("HOLIDAYS#{year:04d}", "DAY#{name}"), NotFoundError, _index
)
CUTOFF = Mapper(
    "cutoff", Cutoff, CutoffModel, ItemKeys.of("CLIENT#{plan_id:DEFAULT}_{pay_freq:plain}", "CUTOFF"), NotFoundError
)


@pytest.mark.parametrize(
    ("mapper", "item"),
    [
        (HOLIDAY, wire("HOLIDAYS#02026", "DAY#Labor", bs_kind="holiday", bs_level="#2026#Labor")),
        (CUTOFF, wire("CLIENT#ACME_Never", "CUTOFF", bs_kind="cutoff", bs_level="ACME#Never")),
    ],
)
def test_an_item_under_another_number_or_of_a_frequency_without_a_pipeline(mapper: Mapper[Entity], item: Item) -> None:
    with Store.open(Settings(persistence_mode="memory"), kinds=[HOLIDAY, CUTOFF]) as store:
        store.create_tables()
        store.engine.put_many(store.tables.name(mapper), [item])
        found = [one for one in told(store) if one[1] == "unreachable"]
        assert found == [("warning", "unreachable", item["PK"]["S"], item["SK"]["S"])]
