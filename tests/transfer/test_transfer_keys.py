"""Exports carry the keys of the digests of what is in them, and no others; imports keep them all."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from bluestar_store import AchConfig, BatchStatus, CalculationRule, Settings, Store, TableLayout, seeding
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.models.config import ACH_CONFIG
from bluestar_store.models.digest_keys import CURRENT, PARTITION, is_digest_key, key_in
from bluestar_store.protocols import Delete, key_of
from bluestar_store.transfer import export, import_
from bluestar_store.transfer.migrating import exported_keys, migrate
from tests.own_kinds import KINDS, PAY_CALENDAR, PayCalendar, PayCalendars
from tests.seeded import seeded_store
from tests.store_suite.side_door import wire

ACH = AchConfig(plan_id="ACME", pay_freq="Weekly", account_number="9988776655")


def opened(layout: TableLayout) -> Store:
    store = Store.open(Settings(persistence_mode="memory", table_layout=layout))
    store.create_tables()
    return store


@pytest.fixture(params=list(product(TableLayout, TableLayout)), ids=lambda pair: "-".join(pair))
def stores(request: pytest.FixtureRequest) -> Iterator[tuple[Store, Store]]:
    """A source in which a batch of two plans was started each, and an empty target, in each pair of layouts."""
    ours, theirs = request.param
    source, target = seeded_store(table_layout=ours), opened(theirs)
    for plan_id in ("ACME", "ZED"):
        source.ach_configs.put(ACH.model_copy(update={"plan_id": plan_id}))
        source.batches.start(plan_id, "Weekly", 2026, plan_id)
    yield source, target
    source.close()
    target.close()


def keys_in(folder: Path) -> list[str | None]:
    """The scopes of the keys that an export carries."""
    from bluestar_store.transfer.files import Manifest

    items = exported_keys(folder, Manifest.read(folder)).values()
    return [key.scope for key in map(key_in, items) if key is not None]


def test_a_whole_export_carries_the_key_and_its_batches_verify(stores: tuple[Store, Store], tmp_path: Path) -> None:
    source, target = stores
    export(source, tmp_path / "e")
    assert keys_in(tmp_path / "e") == [None]
    import_(target, tmp_path / "e")
    assert target.batches.verify_rules(target.batches.get("ACME")).unchanged
    assert target.plan_snapshot("ACME", "Weekly", 2026).digest == source.plan_snapshot("ACME", "Weekly", 2026).digest
    assert target.digests.current() == source.digests.current()


def test_an_export_of_plans_carries_what_verifies_their_items_only(stores: tuple[Store, Store], tmp_path: Path) -> None:
    source, target = stores
    export(source, tmp_path / "e", plans=["ACME"])
    assert keys_in(tmp_path / "e") == ["agent-config/CLIENT#ACME_Weekly"]
    seeding.load(target, seeding.baseline())
    target.ach_configs.put(ACH.model_copy(update={"plan_id": "OWN"}))
    own = target.batches.start("OWN", "Weekly", 2026, "OWN")
    assert import_(target, tmp_path / "e", merge=True).left_alone == 0
    assert import_(target, tmp_path / "e", merge=True).written == 0
    assert target.batches.verify_rules(own).unchanged
    assert target.batches.verify_rules(target.batches.get("ACME")).unchanged
    assert target.digests.current().id != source.digests.current().id
    key = source.digests.current().key
    assert all(key not in (tmp_path / "e" / name).read_bytes() for name in ("manifest.json", "agent-config.jsonl"))


SSN = "for 219-09-9999"
MATCH = CalculationRule(plan_id="ACME", calc_type="match", description=SSN)
RULES_OF_ACME = "calculation-rules/CLIENT#ACME"


def with_text(store: Store) -> None:
    """Rules of ACME's, and one of GLOBAL's, with an SSN in their text, and a batch of theirs."""
    store.calculation_rules.put(MATCH)
    store.calculation_rules.put(MATCH.model_copy(update={"plan_id": "GLOBAL", "calc_type": "shared"}))
    store.batches.start("ACME", "Weekly", 2026, "b1")


def scopes_of_acme(store: Store, folder: Path) -> set[str | None]:
    """Those of an export of ACME, but that of its account."""
    export(store, folder, plans=["ACME"])
    return {*keys_in(folder)} - {"agent-config/CLIENT#ACME_Weekly"}


def test_an_export_of_plans_carries_what_verifies_text_that_is_masked(
    stores: tuple[Store, Store], tmp_path: Path
) -> None:
    source, target = stores
    with_text(source)
    assert scopes_of_acme(source, tmp_path / "e") == {RULES_OF_ACME}  # and not what all plans share
    seeding.load(target, seeding.baseline())
    target.ach_configs.put(ACH.model_copy(update={"plan_id": "OWN"}))
    target.batches.start("OWN", "Weekly", 2026, "OWN")
    import_(target, tmp_path / "e", merge=True)
    told = target.batches.verify_rules(target.batches.get("b1"))
    assert not [name for name in (*told.unknown, *told.changed) if "CLIENT#ACME" in name]


def test_an_export_of_plans_carries_the_keys_of_digests_of_what_is_gone(
    stores: tuple[Store, Store], tmp_path: Path
) -> None:
    source, _ = stores
    with_text(source)
    source.calculation_rules.delete(source.calculation_rules.get("ACME", "match"))
    assert scopes_of_acme(source, tmp_path / "e") == {RULES_OF_ACME}  # its batch, and its trail
    source.batches.delete(source.batches.get("b1"))
    assert scopes_of_acme(source, tmp_path / "f") == {RULES_OF_ACME}


def test_an_export_of_plans_carries_the_keys_of_results_with_something_masked(
    stores: tuple[Store, Store], tmp_path: Path
) -> None:
    source, _ = stores
    assert scopes_of_acme(source, tmp_path / "e") == set()
    batch = source.batches.advance(source.batches.get("ACME"), status=BatchStatus.RUNNING)
    claim = source.claims.claim(batch, 100, worker="w", lease_seconds=60)
    source.results.save(batch, 100, {"note": SSN}, claim)
    assert scopes_of_acme(source, tmp_path / "f") == {"processing-metadata/BATCH#ACME"}


@pytest.mark.parametrize("layout", list(TableLayout), ids=str)
def test_an_export_of_plans_carries_the_keys_of_others_attributes_and_of_users_own_kinds(
    layout: TableLayout, tmp_path: Path
) -> None:
    with Store.open(Settings(persistence_mode="memory", table_layout=layout), kinds=KINDS) as source:
        source.create_tables()
        put = source.engine.put_many
        put(source.tables.name(CALCULATION_RULE), [wire("CLIENT#ACME", "CALC#x", employee_ssn="219099999")])
        source.digests.current()
        assert scopes_of_acme(source, tmp_path / "e") == {RULES_OF_ACME}
        calendars = source.repository(PAY_CALENDAR, PayCalendars)
        calendars.put(PayCalendar(plan_id="ACME", year=2026, pay_days=(SSN,)))
        calendars.put(PayCalendar(plan_id="ZED", year=2026, pay_days=(SSN,)))
        assert scopes_of_acme(source, tmp_path / "f") == {RULES_OF_ACME, "pay-calendar/CLIENT#ACME"}


def test_a_migrated_store_is_the_same_by_its_digests(stores: tuple[Store, Store], tmp_path: Path) -> None:
    source, target = stores
    assert migrate(source, target, tmp_path) == migrate(source, opened(source.settings.table_layout), tmp_path / "2")
    assert target.batches.verify_rules(target.batches.get("ZED")).unchanged


def test_an_export_of_a_store_without_a_key_has_one_of_its_own(stores: tuple[Store, Store], tmp_path: Path) -> None:
    source, target = stores
    table = source.tables.name(ACH_CONFIG)
    for item in source.engine.query(table, PARTITION).items:
        source.engine.write(Delete(table, key_of(item)))
    old = Store(source.settings, source.engine)
    one, two = export(old, tmp_path / "1"), export(old, tmp_path / "2")
    assert one.tables["agent-config"] != two.tables["agent-config"]  # what 0.1.0 left tells no account number
    assert not source.engine.query(table, PARTITION).items  # it only reads
    migrate(old, target, tmp_path / "3")


def test_keys_are_no_items_that_fill_a_table_and_the_name_of_the_current_one_stays(
    stores: tuple[Store, Store], tmp_path: Path
) -> None:
    source, target = stores
    own = target.digests.current()
    export(source, tmp_path / "e")
    assert '"CURRENT"' not in (tmp_path / "e" / "agent-config.jsonl").read_text(encoding="utf-8")
    import_(target, tmp_path / "e")
    found = target.engine.query(target.tables.name(ACH_CONFIG), PARTITION).items
    assert len([item for item in found if is_digest_key(key_of(item))]) == 3
    assert next(item for item in found if key_of(item) == CURRENT)["key_id"] == {"S": own.id}
    assert target.batches.verify_rules(target.batches.get("ACME")).unchanged
