"""Users' own kinds, when a Store is opened with them: what would fail later, or harm others, is refused at once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pynamodb.attributes import JSONAttribute, MapAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection
from pynamodb.models import Model

from bluestar_store import AchConfig, ClientConfig, ConfigurationError, NotFoundError, Settings, Store, VendorSchema
from bluestar_store.cli.records import record
from bluestar_store.extending import (
    CLIENT_CONFIG,
    AchConfigModel,
    ClientConfigModel,
    Entity,
    IntegerAttribute,
    ItemKeys,
    ItemModel,
    LevelModel,
    Mapper,
    TextListAttribute,
    TextTuple,
)
from bluestar_store.mapping.immutability import is_immutable
from bluestar_store.mapping.wholeness import check_whole
from bluestar_store.models.registry import BUILT_IN, kinds_named, registered, with_kinds
from bluestar_store.models.registry import KINDS as LIBRARY_KINDS
from tests.own_kinds import (
    KINDS,
    PAY_CALENDAR,
    PAYROLL_CONFIG,
    PayCalendar,
    PayCalendarModel,
    PayrollConfig,
    PayrollConfigModel,
)
from tests.registered_kinds import MEMORY, RATE, Rate, calendar, calendar_model, made

CALENDAR = PayCalendar(plan_id="ACME", year=2026, pay_days=("2026-01-09",))


class Broken(Entity):
    plan_id: str
    year: int
    notes: list[str]


class Lacking(ItemModel):
    class Meta:
        table_name = "broken"

    plan_id = UnicodeAttribute(null=True)


class Whole(Lacking):
    year = UnicodeAttribute(null=True)
    notes = UnicodeAttribute(null=True)


class Nameless(LevelModel):
    plan_id = UnicodeAttribute(null=True)
    year = UnicodeAttribute(null=True)
    pay_days = UnicodeAttribute(null=True)


def keyed(partition: str, sort: str) -> dict[str, Any]:
    return {"keys": ItemKeys.of(partition, sort)}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"entity": Broken, "model": Whole}, "notes could be changed"),
        ({"model": Lacking}, "Lacking has no attribute for pay_days, year"),
        ({"model": Nameless}, "needs a table_name"),
        (keyed("CLIENT#{plan}", "PAYDAYS#{year:04d}"), "has no field plan, which its key names"),
        (keyed("CLIENT#{plan_id}", "{year:04d}"), "must begin with text"),
        (keyed("CLIENT#{plan_id}", "PAYDAYS#{year:04d}{plan_id}"), "must be followed by"),
        (keyed("CLIENT#{plan_id}", "PAYDAYS#{year:4}"), "a field is"),
        (keyed("CLIENT#{plan_id}", "CALC#{year:04d}"), "can be those of calculation-rule"),
        (keyed("CLIENT#{plan_id}", "CON{year:04d}"), "can be those of client-config"),
        (keyed("YEARS#{year:04d}", "PAYDAYS#{year:04d}"), "LevelModel is for kinds whose key has a plan_id"),
        ({"name": "irs-limits"}, "there is a kind of this name already"),
        ({"name": "client-config"}, "there is a kind of this name already"),
    ],
)
def test_a_kind_that_could_get_in_the_way_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        with_kinds([replace(PAY_CALENDAR, **changes)])


def test_one_kind_given_twice_is_one_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLUESTAR_KINDS", "tests.own_kinds:KINDS")
    with Store.open(Settings(persistence_mode=MEMORY), kinds=KINDS) as store:
        assert [mapper for mapper in store.tables.kinds if mapper.name in ("client-config", "pay-calendar")] == list(
            KINDS
        )


def test_two_kinds_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="there is a kind of this name already"):
        with_kinds([PAY_CALENDAR, replace(PAY_CALENDAR, rule_list="others")])
    with pytest.raises(ConfigurationError, match="each once"):
        with_kinds([PAYROLL_CONFIG, CLIENT_CONFIG.extended(PayrollConfig, PayrollConfigModel)])


def test_the_librarys_own_entities_are_immutable_by_the_same_rule() -> None:
    fields = [field for mapper in LIBRARY_KINDS for field in mapper.entity.model_fields.values()]
    assert len(fields) > 50
    assert all(is_immutable(field.annotation, *field.metadata) for field in fields)


def test_a_level_model_is_indexed_by_its_kind_its_plan_and_the_next_field_of_its_key() -> None:
    assert PAY_CALENDAR.index_of(CALENDAR) == {"bs_kind": "pay-calendar", "bs_level": "ACME\x1f2026"}
    assert replace(PAY_CALENDAR, name="days").index_of(CALENDAR)["bs_kind"] == "days"


class Plain(Entity):
    plan_id: str
    year: int
    pay_days: TextTuple = ()


class PlainModel(ItemModel):
    class Meta:
        table_name = "pay-calendar"

    plan_id = UnicodeAttribute(null=True)
    year = IntegerAttribute(null=True)
    pay_days = TextListAttribute(null=True)


class ByDay(GlobalSecondaryIndex[Any]):
    class Meta:
        index_name = "by_day"
        projection = KeysOnlyProjection()

    kind = UnicodeAttribute(hash_key=True)
    day = UnicodeAttribute(range_key=True)


class ForeignModel(PlainModel):
    by_day = ByDay()


def table(name: str) -> dict[str, Any]:
    return {"model": type("Model", (PayCalendarModel,), {"Meta": type("Meta", (), {"table_name": name})})}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (calendar(note=UnicodeAttribute(attr_name="payDays", null=True)), "two fields in one attribute: payDays"),
        (calendar(note=UnicodeAttribute(attr_name="plan_id", null=True)), "two fields in one attribute: plan_id"),
        (calendar(note=UnicodeAttribute(attr_name="PK", null=True)), "note cannot be kept in the attribute PK"),
        (calendar(note=UnicodeAttribute(attr_name="SK", null=True)), "the attribute SK, which is the library's own"),
        (calendar(note=UnicodeAttribute(attr_name="version", null=True)), "the attribute version"),
        (calendar(note=UnicodeAttribute(attr_name="bs_note", null=True)), "the attribute bs_note"),
        ({"model": calendar_model(bs_kind=UnicodeAttribute(attr_name="kind", null=True))}, "changes bs_kind"),
        (calendar(note=NumberAttribute(null=True)), "note: PynamoDB's NumberAttribute makes floats of numbers; take"),
        (calendar(note=JSONAttribute(null=True)), "note: PynamoDB's JSONAttribute makes floats"),
        (calendar(note=MapAttribute(null=True)), "note: PynamoDB's MapAttribute makes floats"),
        (table("PayCalendar"), "table_name 'PayCalendar' may have the characters a-z, 0-9 and '-' only"),
        (table("pay_calendar"), "may have the characters"),
        (table("store"), "table_name 'store' is that of layout single"),
        ({"entity": Plain, "model": PlainModel}, "rule_list needs a LevelModel"),
        ({"entity": Plain}, "the entity of a LevelModel is a PlanEntity"),
        ({"index": lambda entity: {}}, "a LevelModel is indexed by itself"),
        ({**table("agent-config"), "rule_list": "client_configs"}, "is that of client-config already"),
    ],
)
def test_a_kind_that_would_fail_later_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        with_kinds([replace(PAY_CALENDAR, **changes)])


@pytest.mark.parametrize("changes", [{"entity": BaseModel}, {"model": Model}])
def test_what_is_no_entity_or_no_model_of_an_item_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="its entity must be a subclass of Entity, its Model one of ItemModel"):
        replace(PAY_CALENDAR, **changes)


def test_the_librarys_own_kinds_pass_the_checks_of_users_kinds() -> None:
    assert registered((), LIBRARY_KINDS) == LIBRARY_KINDS == kinds_named(BUILT_IN)
    for mapper in LIBRARY_KINDS:
        check_whole(mapper)


def test_an_index_of_a_users_own_is_of_attributes_that_no_other_program_writes() -> None:
    with pytest.raises(ConfigurationError, match="ForeignModel indexes day, kind; what an index is of begins with bs_"):
        with_kinds([Mapper("foreign", Plain, ForeignModel, PAY_CALENDAR.keys, NotFoundError)])


def extended(fields: dict[str, Any], attributes: dict[str, Any]) -> Mapper[Any]:
    entity = made(ClientConfig, **fields)
    return CLIENT_CONFIG.extended(entity, type("Model", (ClientConfigModel,), attributes))


@pytest.mark.parametrize(
    ("mapper", "said"),
    [
        (extended({"grade": (str, ...)}, {"grade": UnicodeAttribute(null=True)}), "grade needs a default"),
        (extended({"custodian": (int | None, None)}, {}), "custodian is a field of ClientConfig and cannot be changed"),
        (extended({"deadline_hour": (int | None, None)}, {}), "deadline_hour is a field of ClientConfig"),
        (extended({"custodian": (str | None, "Fidelity")}, {}), "custodian is a field of ClientConfig"),
        (extended({}, {"custodian": UnicodeAttribute(attr_name="holder", null=True)}), "custodian is an attribute of"),
        (replace(PAYROLL_CONFIG, sensitive=True), "there is a kind of this name already"),
    ],
)
def test_an_extension_that_others_could_not_live_with_is_refused(mapper: Mapper[Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        with_kinds([mapper])


@pytest.mark.parametrize("error", ["ZeroDivisionError('x')", "SystemExit(3)", "TypeError('y')"])
def test_a_module_that_fails_when_it_is_imported_is_named(
    error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "failing_kinds.py").write_text(f"raise {error}\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigurationError, match=r"BLUESTAR_KINDS: 'failing_kinds:KINDS' cannot be imported \(\w+"):
        Store.open(Settings(persistence_mode=MEMORY, kinds="failing_kinds:KINDS"))


def test_a_kind_of_one_item_a_plan_is_listed() -> None:
    with Store.open(Settings(persistence_mode=MEMORY), kinds=[RATE]) as store:
        store.create_tables()
        store.repository(RATE).put(Rate(plan_id="ACME"))
        assert (store.plans(), store.overrides("ACME")) == (("ACME",), (Rate(plan_id="ACME"),))


def test_a_vendors_mapping_shows_what_a_column_called_account_means() -> None:
    schema = VendorSchema(vendor_id="V", fingerprint="f", mapping={"Account Number": "account"})
    assert "{'Account Number': 'account'}" in repr(schema)


def test_bank_numbers_of_an_extension_never_show_whole_whatever_they_are_called() -> None:
    fields = dict.fromkeys(("iban", "beneficiary_account", "RoutingCode"), (str | None, None))
    entity = made(AchConfig, **fields)
    number = "DE02120300000000202051"
    account = entity(plan_id="A", pay_freq="W", bank_id="B7", **dict.fromkeys(fields, number))
    model: Any = type("BankModel", (AchConfigModel,), {name: UnicodeAttribute(null=True) for name in fields})
    row = model("CLIENT#A_W", "ACH", bank_id="B7", **dict.fromkeys(fields, number))
    for text in (repr(account), str(account), repr(row), str(row), json.dumps(record(account))):
        assert number not in text
        assert text.count("*2051") == 3
        assert "B7" in text
