"""From any engine and layout to any other and back: the same bytes."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from bluestar_store import PersistenceMode, Settings, Store, TableLayout
from bluestar_store.models.registry import KINDS
from bluestar_store.protocols import Item
from bluestar_store.transfer import export, import_
from bluestar_store.transfer.layout import TableMap
from bluestar_store.transfer.migrating import exported_keys
from tests.transfer.test_transfer_files import stores

SINGLE, EIGHT = TableLayout.SINGLE, TableLayout.PER_TABLE


@contextmanager
def opened(**options: Any) -> Iterator[Store]:
    """An empty Store; its tables are deleted at the end."""
    with Store.open(Settings(table_suffix=f"-{uuid.uuid4().hex[:12]}", **options)) as store:
        store.create_tables()
        yield store
        store.engine.delete_tables([spec.name for spec in store.tables.specs()])


def in_memory(layout: TableLayout = EIGHT) -> Any:
    return opened(persistence_mode=PersistenceMode.MEMORY, table_layout=layout)


def in_folder(folder: Path, layout: TableLayout = EIGHT) -> Any:
    return opened(persistence_mode=PersistenceMode.FILE, file_persistence_dir=folder, table_layout=layout)


def fill(store: Store, tables: Mapping[str, Sequence[Item]]) -> None:
    """Put items straight into the tables of layout `per_table`, in an order that means nothing."""
    table_map = TableMap(store.tables)
    for table, items in tables.items():
        store.engine.put_many(table_map.on_disk(table), reversed(items))


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@given(stores())
@settings(max_examples=settings().max_examples // 3, suppress_health_check=[HealthCheck.too_slow])
def test_eight_to_file_to_single_and_back_is_byte_identical(tables: dict[str, list[Item]]) -> None:
    with (
        tempfile.TemporaryDirectory() as scratch,
        in_memory() as first,
        in_folder(Path(scratch) / "store") as second,
        in_memory(SINGLE) as third,
        in_folder(Path(scratch) / "last") as last,
    ):
        fill(first, tables)
        folders = [Path(scratch, str(number)) for number in range(4)]
        manifest = export(first, folders[0])
        own = exported_keys(folders[0], manifest)  # a key of digests, and salts of what is shown masked
        assert manifest.items == sum(map(len, tables.values())) + len(own)
        for number, store in enumerate((second, third, last)):
            assert import_(store, folders[number]).written == manifest.items
            export(store, folders[number + 1])
        assert content(folders[0]) == content(folders[1]) == content(folders[2]) == content(folders[3])
        assert len(content(folders[0])) == len({mapper.table for mapper in KINDS}) + 1  # the manifest


@pytest.mark.slow
@given(tables=stores())
@settings(max_examples=8, suppress_health_check=list(HealthCheck))
def test_through_dynamodb_it_is_byte_identical_too(dynamodb_local_url: str, tables: dict[str, list[Item]]) -> None:
    with (
        tempfile.TemporaryDirectory() as scratch,
        opened(dynamodb_endpoint_url=dynamodb_local_url) as first,
        in_folder(Path(scratch) / "store", SINGLE) as second,
        opened(dynamodb_endpoint_url=dynamodb_local_url, table_layout=SINGLE) as third,
    ):
        fill(first, tables)
        folders = [Path(scratch, str(number)) for number in range(3)]
        export(first, folders[0])
        for number, store in enumerate((second, third)):
            import_(store, folders[number])
            export(store, folders[number + 1])
        assert content(folders[0]) == content(folders[1]) == content(folders[2])


def test_what_layout_single_got_from_other_programs_goes_from_single_to_single_only(tmp_path: Path) -> None:
    item: Item = {"PK": {"S": "THEIRS"}, "SK": {"S": "1"}, "bs_table": {"S": "nowhere"}}
    with in_memory(SINGLE) as first, in_memory(SINGLE) as second:
        first.engine.put_many(first.tables.specs()[0].name, [item])
        assert "store" in export(first, tmp_path / "a").tables
        import_(second, tmp_path / "a")
        export(second, tmp_path / "b")
        assert second.engine.scan(second.tables.specs()[0].name).items == [item]
    assert content(tmp_path / "a") == content(tmp_path / "b")
