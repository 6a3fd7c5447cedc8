"""Migrating a whole store, verified; and taking over the tables of older programs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bluestar_store import (
    BatchNotFoundError,
    BatchState,
    BlueStarError,
    ConfigurationError,
    ConflictError,
    Store,
    TableLayout,
    seeding,
)
from bluestar_store.keys import Key
from bluestar_store.models.digest_keys import CURRENT
from bluestar_store.protocols import Item, Put, TableSpec, key_of
from bluestar_store.repositories.revisions import is_level_revision
from bluestar_store.transfer import migrate, migrating, take_over
from bluestar_store.transfer.exporting import digests
from tests.transfer.importing_stores import item
from tests.transfer.test_transfer_round_trip import SINGLE, in_folder, in_memory, opened


@pytest.fixture
def source() -> Iterator[Store]:
    with in_memory() as store:
        seeding.load(store, seeding.read("fixtures/demo"))
        yield store


def metadata(store: Store) -> str:
    return store.tables.name(store.batches.mapper)


def test_a_migrated_store_answers_as_the_old_one(source: Store, tmp_path: Path) -> None:
    with in_folder(tmp_path / "store", SINGLE) as target:
        told: list[str] = []
        manifest = migrate(source, target, tmp_path, progress=lambda what, done, total: told.append(what))
        assert list(dict.fromkeys(told)) == ["export", "check", "import", "verify"]
        items = [item for spec in source.tables.specs() for item in source.engine.scan(spec.name).items]
        assert manifest.items == sum(not is_level_revision(key_of(item)) and key_of(item) != CURRENT for item in items)
        assert target.plans() == source.plans()
        for plan in source.plans():
            assert target.overrides(plan) == source.overrides(plan)
        with in_memory() as back:
            assert migrate(target, back, tmp_path / "back") == manifest


def test_a_migration_is_done_only_when_both_are_the_same(
    source: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    def damaged(store: Any, folder: Path, progress: Any, **given: Any) -> Any:
        if store is target:
            target.engine.put_many(metadata(target), [item(Key("BATCH#1", "STATE"))])
        return digests(store, folder, progress, **given)

    monkeypatch.setattr(migrating, "digests", damaged)
    with in_memory(SINGLE) as target, pytest.raises(BlueStarError, match="processing-metadata: 3 and 4 items"):
        migrate(source, target, tmp_path)


def test_a_source_that_was_written_to_meanwhile_is_said(source: Store, tmp_path: Path) -> None:
    def write(what: str, done: int, total: int | None) -> None:
        if what == "import":
            source.engine.put_many(metadata(source), [item(Key("BATCH#1", "STATE"))])

    with in_memory(SINGLE) as target, pytest.raises(ConflictError, match=r"written to .*processing-metadata: 3 and 4"):
        migrate(source, target, tmp_path, progress=write)


@pytest.mark.parametrize("phase", ["export", "check", "import", "verify"])
def test_an_interrupted_migration_goes_on(source: Store, tmp_path: Path, phase: str) -> None:
    def interrupt(what: str, done: int, total: int | None) -> None:
        if what == phase:
            raise KeyboardInterrupt

    with in_memory(SINGLE) as target:
        with pytest.raises(KeyboardInterrupt):
            migrate(source, target, tmp_path, progress=interrupt)
        assert migrate(source, target, tmp_path).items > 0
        assert target.plans() == source.plans()


def test_a_migration_into_tables_with_items_is_refused(source: Store, tmp_path: Path) -> None:
    with pytest.raises(ConflictError, match=r"is not empty.*; migrate into empty tables$"):
        migrate(source, source, tmp_path)
    assert not list(tmp_path.iterdir())


OLD = "bluestar-processing-results"


@pytest.fixture(params=list(TableLayout), ids=str)
def store(request: pytest.FixtureRequest, dynamodb_local_url: str) -> Iterator[Store]:
    with opened(dynamodb_endpoint_url=dynamodb_local_url, table_layout=request.param) as opened_store:
        opened_store.engine.create_tables([TableSpec(OLD)])
        yield opened_store
        opened_store.engine.delete_tables([OLD])


def test_an_older_table_is_taken_over_verbatim_and_what_differs_is_left_alone(store: Store) -> None:
    results: list[Item] = [item(Key("BATCH#1", f"RESULT#{n}"), n={"NS": ["2", "1"]}) for n in range(230)]
    foreign = item(Key("CLIENT#A", "2024-01-15"), result={"M": {"b": {"B": b"\0"}}})
    store.engine.put_many(OLD, [*results, foreign])
    theirs = item(Key("BATCH#1", "RESULT#7"), n={"N": "0"})
    store.engine.write(Put(metadata(store), theirs), Put(metadata(store), results[8]))
    report = take_over(store, OLD)
    assert (report.written, report.same, report.left_alone_keys) == (
        229,
        1,
        (("processing-metadata", Key("BATCH#1", "RESULT#7")),),
    )
    found = store.engine.get(metadata(store), [Key("CLIENT#A", "2024-01-15"), Key("BATCH#1", "RESULT#7")])
    mark = {"bs_table": {"S": "processing-metadata"}} if store.tables.layout is SINGLE else {}
    assert list(found.values()) == [foreign | mark, theirs]
    assert take_over(store, OLD).same == 230
    assert len(store.engine.scan(OLD).items) == 231


def test_nothing_is_taken_over_for_a_batch_that_was_deleted() -> None:
    with in_memory() as store:
        store.batches.put(BatchState(batch_id="1", plan_id="ACME"))
        store.batches.delete(store.batches.get("1"))
        store.engine.create_tables([TableSpec(OLD)])
        older = [item(Key(f"BATCH#{batch}", sk)) for batch in (1, 2) for sk in ("RESULT#match", "STATE")]
        store.engine.put_many(OLD, older)
        report = take_over(store, OLD)
        assert (report.written, report.left_alone) == (2, 2)
        with pytest.raises(BatchNotFoundError):
            store.batches.get("1")
        assert store.batches.get("2")


def test_a_table_is_not_taken_over_into_itself(source: Store) -> None:
    with pytest.raises(ConfigurationError, match="itself"):
        take_over(source, metadata(source))
