"""Times on disk: spelled as PynamoDB's own attribute reads them, and read, listed and verified in either spelling."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynamodb.attributes import UnicodeAttribute, UTCDateTimeAttribute
from pynamodb.models import Model

from bluestar_store import PersistenceMode, Settings, Store, VendorSchema
from bluestar_store.keys import Key
from bluestar_store.mapping.values import stored_time, utc_from_text, utc_text
from bluestar_store.models.audit import AUDIT_ENTRY
from bluestar_store.models.batches import BATCH_STATE
from bluestar_store.models.vendor import VENDOR_SCHEMA
from bluestar_store.protocols import Item, key_of, scan_pages
from bluestar_store.testing import FrozenClock
from tests.store_suite.batches import with_rules


class ItsTimes(Model):
    """A model of somebody who reads our tables with PynamoDB alone."""

    class Meta:
        table_name = "theirs"

    PK = UnicodeAttribute(hash_key=True)
    SK = UnicodeAttribute(range_key=True)
    created = UTCDateTimeAttribute(null=True)
    updated = UTCDateTimeAttribute(null=True)
    claimed = UTCDateTimeAttribute(null=True)
    expires = UTCDateTimeAttribute(null=True)
    saved = UTCDateTimeAttribute(null=True)
    released = UTCDateTimeAttribute(null=True)


@pytest.fixture
def store() -> Iterator[Store]:
    with Store.open(Settings(persistence_mode=PersistenceMode.MEMORY), clock=FrozenClock()) as opened:
        opened.create_tables()
        yield with_rules(opened)


def all_items(store: Store) -> list[tuple[str, Item]]:
    names = [spec.name for spec in store.tables.specs()]
    return [(name, item) for name in names for items in scan_pages(store.engine, name) for item in items]


def respelled(store: Store) -> None:
    """Spell every time as 0.1.0 does."""
    for name, item in all_items(store):
        old: dict[str, Any] = {
            attribute: {"S": value["S"].removesuffix("+0000") + "+00:00"}
            for attribute, value in item.items()
            if "S" in value and value["S"].endswith("+0000")
        }
        store.engine.put_many(name, [item | old])


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_is_written_as_pynamodb_writes_it_and_read_as_it_was(time: datetime) -> None:
    text = stored_time(time)
    assert text == UTCDateTimeAttribute().serialize(time)
    assert utc_from_text(text) == utc_from_text(utc_text(time)) == time
    assert UTCDateTimeAttribute().deserialize(text) == time


def test_pynamodbs_own_times_read_a_whole_partition_of_ours(store: Store) -> None:
    batch = store.batches.start("ACME", "Weekly", 2026, "b")
    claim = store.claims.claim(batch, 1, "worker", 60)
    store.results.save(batch, 1, {"rows": 1}, claim)
    store.batches.advance(batch, step=1, claim=claim)
    store.audit.append("b", action="looked at")
    store.holds.release("ACME", store.holds.place("ACME", "Missing data", hold_id="h").hold_id)
    store.vendor_schemas.put(VendorSchema(vendor_id="ADP", fingerprint="f", created=store.clock.now()))
    times = 0
    for _, item in all_items(store):
        read = ItsTimes.from_raw_data(dict(item))
        times += sum(isinstance(value, datetime) for value in read.attribute_values.values())
    assert times == 2 + 2 + 1 + 2 + 1


def test_an_entry_is_whole_in_either_spelling_of_its_time(store: Store) -> None:
    for number in range(3):
        store.audit.append("b", action=f"{number}")
    assert store.audit.verify("b") == ()
    table = store.tables.name(AUDIT_ENTRY)
    for items in scan_pages(store.engine, table, sk_prefix="AUDIT#"):
        for item in items:
            assert item["at"]["S"].endswith("+00:00")  # 0.1.0 finds any other one changed
            spelled = {"S": stored_time(utc_from_text(item["at"]["S"]))}
            store.engine.put_many(table, [item | {"at": spelled}])
    assert store.audit.verify("b") == ()
    (item,) = store.engine.get(table, [Key("BATCH#b", "AUDIT#00000002")]).values()
    for at in ({"S": item["at"]["S"].replace("+0000", "Z")}, {"NULL": True}, None):
        changed = {name: value for name, value in (item | {"at": at}).items() if value is not None}
        store.engine.put_many(table, [changed])
        assert store.audit.verify("b")[0].seq == 2


def test_batches_are_listed_and_paged_in_order_of_time_in_either_spelling(store: Store) -> None:
    for number in range(6):
        store.batches.start("ACME", "Weekly", 2026, f"b{number}")
        if number % 2:
            respelled(store)
        store.clock.advance(timedelta(seconds=1))  # type: ignore[attr-defined]  # a FrozenClock
    names = [f"b{number}" for number in range(5, -1, -1)]
    assert [batch.batch_id for batch in store.batches.for_plan("ACME")] == names
    found, cursor = [], None
    while True:
        page = store.batches.for_plan("ACME", limit=2, cursor=cursor)
        found += [batch.batch_id for batch in page]
        if (cursor := page.cursor) is None:
            break
        respelled(store)
    assert found == names


def test_a_digest_is_the_same_in_either_spelling(store: Store) -> None:
    schema = VendorSchema(
        vendor_id="ADP", fingerprint="f", plan_id="ACME", pay_freq="Weekly", created=store.clock.now()
    )
    store.vendor_schemas.put(schema)
    before = store.plan_snapshot("ACME", "Weekly", 2026).digest
    batch = store.batches.start("ACME", "Weekly", 2026, "b")
    respelled(store)
    assert store.plan_snapshot("ACME", "Weekly", 2026).digest == before
    assert store.batches.verify_rules(batch).unchanged


def test_a_time_that_does_not_differ_is_not_spelled_anew(store: Store) -> None:
    store.batches.start("ACME", "Weekly", 2026, "b")
    store.vendor_schemas.put(VendorSchema(vendor_id="ADP", fingerprint="f", created=store.clock.now()))
    respelled(store)
    store.clock.advance(timedelta(seconds=1))  # type: ignore[attr-defined]  # a FrozenClock
    moved = store.batches.advance(store.batches.get("b"), step=1)
    fresh = VendorSchema(vendor_id="ADP", fingerprint="f", columns=("a",), created=moved.created)
    store.vendor_schemas.put(fresh)
    stored = {(name, key_of(item)): item for name, item in all_items(store)}
    state = stored[store.tables.name(BATCH_STATE), Key("BATCH#b", "STATE")]
    assert state["created"]["S"].endswith("+00:00")
    assert state["updated"]["S"].endswith("+0000")
    schema = stored[store.tables.name(VENDOR_SCHEMA), Key("VENDOR#ADP", "SCHEMA#f")]
    assert schema["created"] == state["created"]
