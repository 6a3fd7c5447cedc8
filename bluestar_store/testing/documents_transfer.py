"""Rules of documents: export and import."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from bluestar_store.documents import DocumentStore, export_documents, import_documents
from bluestar_store.errors import SeedError
from bluestar_store.testing.documents_case import DocumentsCase

ITEMS = [
    {"orderId": "A1", "total": Decimal("9.10"), "logo": b"\xff", "tags": {"b", "a"}, "odd": {"$set": []}},
    {"orderId": "B2", "created": {"at": "2020-01-02", "by": "u1"}, "modified": 5, "softDelete": True},
]


class DocumentsTransfer(DocumentsCase):
    """See `documents_suite`."""

    def test_an_export_brought_into_an_empty_table_is_the_same(self, store: DocumentStore, tmp_path: Path) -> None:
        made = [store.create(item) for item in ITEMS]
        assert export_documents([store], tmp_path / "all.json") == {store.table_name: 2}
        text = (tmp_path / "all.json").read_text()
        assert [item["orderId"] for item in json.loads(text)[store.table_name]] == ["A1", "B2"]
        assert '"total": 9.1' in text
        renamed = tmp_path / "changed.json"
        renamed.write_text(text.replace('"A1"', '"A2"').replace('"B2"', '"B3"'))
        (report,) = import_documents([store], renamed)
        assert (report.table, report.written, report.same, report.left_alone) == (store.table_name, 2, 0, ())
        a1, b2 = made
        assert store.list(hide_soft_deleted=False) == [a1, a1 | {"orderId": "A2"}, b2, b2 | {"orderId": "B3"}]

    def test_what_differs_is_left_alone_unless_it_is_to_be_overwritten(
        self, store: DocumentStore, tmp_path: Path
    ) -> None:
        made = [store.create(item) for item in ITEMS]
        export_documents([store], tmp_path / "all.json")
        store.update_fields("A1", {"total": 5})
        changed = store.get("A1")
        (report,) = import_documents([store], tmp_path / "all.json")
        assert (report.written, report.same, report.overwritten, report.left_alone) == (0, 1, 0, ("A1",))
        assert store.get("A1") == changed
        (report,) = import_documents([store], tmp_path / "all.json", overwrite=True)
        assert (report.written, report.same, report.overwritten, report.left_alone) == (0, 1, 1, ())
        assert store.list(hide_soft_deleted=False) == made

    def test_nothing_of_a_file_with_a_mistake_is_written(self, store: DocumentStore, tmp_path: Path) -> None:
        path = tmp_path / "bad.json"
        path.write_text(json.dumps({store.table_name: [{"orderId": "A1"}, {"status": "open"}, {"orderId": "A1"}, 5]}))
        with pytest.raises(SeedError) as raised:
            import_documents([store], path)
        assert [(one.file, one.pointer) for one in raised.value.problems] == [
            (str(path), f"/{store.table_name}/1/orderId"),
            (str(path), f"/{store.table_name}/2/orderId"),
            (str(path), f"/{store.table_name}/3"),
        ]
        assert store.list() == []

    def test_a_table_that_the_file_does_not_have_stays_as_it_is(self, store: DocumentStore, tmp_path: Path) -> None:
        store.create({"orderId": "A1"})
        (tmp_path / "other.json").write_text('{"other-table": []}')
        (report,) = import_documents([store], tmp_path / "other.json", overwrite=True)
        assert (report.written, report.same, report.overwritten) == (0, 0, 0)
        assert len(store.list()) == 1
