"""Users' own fields and entities: as good as the library's own everywhere, and never in their way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from bluestar_store import (
    ClientConfig,
    ConfigurationError,
    InvalidEntityError,
    PersistenceMode,
    Settings,
    Store,
    TableLayout,
    seeding,
)
from bluestar_store.doctor.items import check
from bluestar_store.engines.dynamo.connection import AwsConnection
from bluestar_store.extending import (
    CLIENT_CONFIG,
    Configs,
)
from bluestar_store.rulesets.json_schemas import json_schemas
from bluestar_store.transfer import export, import_
from tests.own_kinds import (
    KINDS,
    PAY_CALENDAR,
    PAYROLL_CONFIG,
    PayCalendar,
    PayCalendarModel,
    PayCalendarNotFoundError,
    PayCalendars,
    PayrollConfig,
    PayrollConfigModel,
)
from tests.stores.conftest import MakeStore, SharedEngine

MEMORY = PersistenceMode.MEMORY
OURS = PayrollConfig(plan_id="ACME", pay_freq="Weekly", custodian="Fidelity", forfeiture_pct=Decimal("2.50"))
CALENDAR = PayCalendar(plan_id="ACME", year=2026, pay_days=("2026-01-09",))


@pytest.fixture
def store(layout: TableLayout) -> Iterator[Store]:
    with Store.open(Settings(persistence_mode=MEMORY, table_layout=layout), kinds=KINDS) as store:
        store.create_tables()
        yield store


def test_a_configuration_has_its_own_fields_typed_and_under_their_names_on_disk(store: Store) -> None:
    store.repository(PAYROLL_CONFIG, Configs).put(OURS)
    assert store.client_configs.get("ACME", "Weekly") == OURS
    (item,) = store.engine.query(store.tables.name(PAYROLL_CONFIG), "CLIENT#ACME_Weekly").items
    assert item["forfeiturePct"] == {"N": "2.5"}
    snapshot_config = store.repository(PAYROLL_CONFIG, Configs).get("ACME", "Weekly", fresh=True)
    assert snapshot_config.forfeiture_pct == Decimal("2.5")


def test_a_store_without_the_kind_keeps_the_fields_that_it_does_not_know(store: Store) -> None:
    store.repository(PAYROLL_CONFIG).put(OURS)
    with Store(store.settings, store.engine) as plain:
        config = plain.client_configs.get("ACME", "Weekly")
        assert type(config) is ClientConfig
        assert config.extra == {"forfeiturePct": Decimal("2.5")}
        plain.client_configs.put(config.model_copy(update={"custodian": "Vanguard"}))
        with pytest.raises(InvalidEntityError, match="keeps client-config as ClientConfig, not PayrollConfig"):
            plain.client_configs.put(OURS)
    changed = store.repository(PAYROLL_CONFIG, Configs).get("ACME", "Weekly")
    assert (changed.custodian, changed.forfeiture_pct) == ("Vanguard", Decimal("2.5"))
    with pytest.raises(InvalidEntityError, match="keeps client-config as PayrollConfig, not ClientConfig"):
        store.client_configs.put(ClientConfig(plan_id="ACME", pay_freq="Weekly"))


def test_an_entity_falls_back_is_versioned_and_has_its_own_error(store: Store) -> None:
    calendars = store.repository(PAY_CALENDAR, PayCalendars)
    default = calendars.put(PayCalendar(plan_id="DEFAULT", year=2026, pay_days=("2026-01-02",)))
    own = calendars.put(CALENDAR)
    assert calendars.get("ACME", 2026) == own
    assert calendars.get("OMEGA", 2026) == default
    assert calendars.put(own.model_copy(update={"pay_days": ()})).version == 2
    with pytest.raises(PayCalendarNotFoundError, match="no pay days for plan 'ACME' in 2027"):
        calendars.get("ACME", 2027)


def test_an_entity_has_a_table_that_is_made_and_a_place_in_the_catalog(store: Store, layout: TableLayout) -> None:
    names = [status.name for status in store.describe_tables()]
    assert ("bluestar-pay-calendar" in names) is (layout is TableLayout.PER_TABLE)
    store.repository(PAY_CALENDAR).put(CALENDAR)
    assert store.plans() == ("ACME",)
    assert store.overrides("ACME") == (CALENDAR,)


def test_doctor_knows_the_items(store: Store) -> None:
    store.repository(PAY_CALENDAR).put(CALENDAR)
    for name in {spec.name for spec in store.tables.specs()}:
        assert list(check(store, name, lambda items: None)) == []


def test_an_export_moves_the_items_to_the_other_layout(store: Store, layout: TableLayout, tmp_path: Path) -> None:
    store.repository(PAY_CALENDAR).put(CALENDAR)
    store.repository(PAYROLL_CONFIG).put(OURS)
    assert export(store, tmp_path / "all").items == 6  # the two, and the trail of each: an entry and the head
    with pytest.warns(UserWarning, match="nothing belongs to plan 'OMEGA'"):
        assert export(store, tmp_path / "none", plans=["OMEGA", "ACME"]).items == 6
    other = TableLayout.SINGLE if layout is TableLayout.PER_TABLE else TableLayout.PER_TABLE
    with Store.open(Settings(persistence_mode=MEMORY, table_layout=other), kinds=KINDS) as target:
        target.create_tables()
        assert import_(target, tmp_path / "all").written == 6
        assert target.repository(PAY_CALENDAR, PayCalendars).get("ACME", 2026) == CALENDAR
        assert target.client_configs.get("ACME", "Weekly") == OURS


def test_rule_sets_hold_them(store: Store, tmp_path: Path) -> None:
    config = {"plan_id": "ACME", "pay_freq": "Weekly", "forfeiture_pct": 2.50}
    calendar = {"plan_id": "ACME", "year": 2026, "pay_days": ["2026-01-09"]}
    (tmp_path / "agent-config.json").write_text(json.dumps({"client_configs": [config]}))
    (tmp_path / "pay-calendar.json").write_text(json.dumps({"pay_calendars": [calendar]}))
    rules = seeding.read(tmp_path, store.tables.kinds)
    assert len(seeding.load(store, rules).added) == 2
    assert not seeding.compare(store, rules, prune=True)
    assert store.repository(PAY_CALENDAR, PayCalendars).get("ACME", 2026) == CALENDAR
    assert store.repository(PAYROLL_CONFIG, Configs).get("ACME", "Weekly").forfeiture_pct == Decimal("2.5")
    assert "forfeiture_pct" in json.dumps(json_schemas(store.tables.kinds)["agent-config.schema.json"])


def test_a_rule_set_that_was_read_for_another_store_is_refused_whole(store: Store, tmp_path: Path) -> None:
    (tmp_path / "agent-config.json").write_text('{"client_configs": [{"plan_id": "ACME", "pay_freq": "Weekly"}]}')
    with pytest.raises(InvalidEntityError, match=r"keeps no ClientConfig .* read\(folder, store.tables.kinds\)"):
        seeding.load(store, seeding.read(tmp_path))


def test_a_model_of_a_user_can_be_bound(local_connection: AwsConnection, make_store: MakeStore) -> None:
    plain = make_store(SharedEngine(local_connection))
    store = Store(plain.settings, plain.engine, kinds=[PAYROLL_CONFIG])
    store.repository(PAYROLL_CONFIG).put(OURS)
    assert store.bind(PayrollConfigModel).get("CLIENT#ACME_Weekly", "CONFIG").forfeiture_pct == Decimal("2.5")
    with pytest.raises(ConfigurationError, match="no Model of this Store"):
        store.bind(PayCalendarModel)


def test_a_setting_names_kinds_for_programs_that_cannot_give_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLUESTAR_KINDS", "tests.own_kinds:PAYROLL_CONFIG, tests.own_kinds:PAY_CALENDAR")
    with Store.open(Settings(persistence_mode=MEMORY)) as store:
        assert store.tables.kinds[-1] is PAY_CALENDAR
        assert store.tables.registered(CLIENT_CONFIG) is PAYROLL_CONFIG
    monkeypatch.setenv("BLUESTAR_KINDS", "tests.own_kinds:KINDS")
    with Store.open(Settings(persistence_mode=MEMORY)) as store:
        assert store.tables.kinds[-1] is PAY_CALENDAR


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere.at.all:KIND", "cannot be imported"),
        ("tests.own_kinds:MISSING", "cannot be imported"),
        ("tests.own_kinds:PayCalendar", "is no Mapper"),
        ("tests.own_kinds", "is no module:NAME"),
    ],
)
def test_a_setting_that_names_no_kind_says_so(name: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=f"BLUESTAR_KINDS.*{said}"):
        Store.open(Settings(persistence_mode=MEMORY, kinds=name))


def test_a_kind_that_was_not_registered_has_no_repository() -> None:
    with Store.open(Settings(persistence_mode=MEMORY)) as store:
        with pytest.raises(ConfigurationError, match="pay-calendar is not registered"):
            store.repository(PAY_CALENDAR, PayCalendars)
        with pytest.raises(ConfigurationError, match="client-config is not registered"):
            store.repository(PAYROLL_CONFIG, Configs)
        assert store.repository(CLIENT_CONFIG) is store.client_configs
