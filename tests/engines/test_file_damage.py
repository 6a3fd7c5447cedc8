"""The file engine's folder cut off, broken, edited by hand, on a full disk: nothing is lost or overwritten."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest

from bluestar_store.engines.file import engine as file
from bluestar_store.engines.file.engine import FileEngine
from bluestar_store.engines.file.journal import NAME
from bluestar_store.errors import (
    ConfigurationError,
    ItemDecodeError,
    UnavailableError,
)
from bluestar_store.protocols import Put, TableSpec, Update, key_of
from bluestar_store.testing.engine_case import item
from tests.engines.folders import (
    KEY,
    OTHER,
    TABLE,
    attempts,
    content,
    contents_of,
    fill_the_disk,
    opened,
    path_of,
    rewrite,
)


def test_every_cut_of_the_journal_leaves_a_whole_number_of_transactions(engine: FileEngine) -> None:
    states = [(content(engine), content(engine, OTHER))]
    for number in range(4):
        engine.write(
            Put(TABLE, item("A", text=f"é😀{number}")),
            Put(TABLE, item(f"P{number}")),
            Put(OTHER, item("B", version=number + 1)),
        )
        states.append((content(engine), content(engine, OTHER)))
    journal = (engine.folder / NAME).read_bytes()
    ends = [place + 1 for place, byte in enumerate(journal) if byte == ord("\n")]
    for size in range(len(journal) + 1):
        rewrite(engine.folder / NAME, journal[:size])
        cut = opened(engine)
        whole = max(0, sum(end <= size for end in ends) - 1)  # the first line is the journal's own
        assert (content(cut), content(cut, OTHER)) == states[whole], size
        if size % 7 == 0 or size in ends:
            cut.write(Put(OTHER, item("AFTER")))
            again = opened(engine)
            assert content(again) == states[whole][0], size
            assert content(again, OTHER) == sorted([*states[whole][1], item("AFTER")], key=key_of), size


@pytest.mark.parametrize("line", [1, 2, 3])
def test_a_damaged_line_of_the_journal_is_named_and_nothing_is_overwritten(engine: FileEngine, line: int) -> None:
    for number in range(3):
        engine.write(Put(TABLE, item(f"P{number}", text="words")))
    journal = engine.folder / NAME
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[line] = lines[line].replace(b"words", b"w0rds")
    rewrite(journal, b"".join(lines))
    before = contents_of(engine.folder)
    for one in (engine, opened(engine)):
        for call in attempts(one):
            with pytest.raises(ItemDecodeError, match=f"line {line + 1}") as caught:
                call()
            assert NAME in str(caught.value)
        one.close()
    assert contents_of(engine.folder) == before


GOOD = '{"PK":{"S":"A"},"SK":{"S":"A"}}'
BROKEN: dict[str, tuple[str | bytes, int]] = {
    "cut off": ('{\n"items": [\n' + GOOD + ",\n", 4),
    "missing comma": ('{\n"items": [\n' + GOOD + "\n" + GOOD + "\n]}", 4),
    "empty": ("", 1),
    "not an object": ("[]", 1),
    "no items": ('{"table": "x"}', 1),
    "items no list": ('{"items": {}}', 1),
    "missing PK": ('{\n"items": [\n' + GOOD + ',\n{"SK":{"S":"B"}}\n]}', 4),
    "missing SK": ('{\n"items": [\n{"PK":{"S":"B"}}\n]}', 3),
    "number as PK": ('{\n"items": [\n{"PK":{"S":5},"SK":{"S":"B"}}\n]}', 3),
    "empty key": ('{\n"items": [\n' + GOOD + ',\n{"PK":{"S":""},"SK":{"S":"B"}}\n]}', 4),
    "item that is text": ('{\n"items": [\n"A"\n]}', 3),
    "item twice": ('{\n"items": [\n' + GOOD + ",\n\n" + GOOD + "\n]}", 5),
    "name twice": ('{\n"items": [\n' + GOOD + ',\n{"PK":{"S":"B"},"SK":{"S":"B"},"x":{"S":"1"},"x":{"S":"2"}}\n]}', 4),
    "PK twice": ('{\n"items": [\n' + GOOD + ',\n{"PK":{"S":"B"},"SK":{"S":"B"},"PK":{"S":"C"}}\n]}', 4),
    "name twice deep inside": (
        '{\n"items": [\n{"PK":{"S":"B"},"SK":{"S":"B"},"é":{"M":{"é":{"S":"1"},"é":{"S":"1"}}}}\n]}',
        3,
    ),
    "items twice": ('{\n"items": [\n' + GOOD + '\n], "items": []}', 1),
    "bad base64": ('{\n"items": [\n' + GOOD + ',\n{"PK":{"S":"B"},"SK":{"S":"B"},"x":{"B":"&&"}}\n]}', 4),
    "plain value": ('{\n"items": [\n{"PK":{"S":"B"},"SK":{"S":"B"},"x":5}\n]}', 3),
    "float": ('{\n"items": [\n{"PK":{"S":"B"},"SK":{"S":"B"},"x":{"N":5.5}}\n]}', 3),
    "39 digits": ('{\n"items": [\n{"PK":{"S":"B"},"SK":{"S":"B"},"x":{"N":"' + "1" * 39 + '"}}\n]}', 3),
    "laid out over lines": ('{\n"items": [\n{\n"PK": {"S":"B"},\n"SK": {"S":"B"},\n"x": {"Q":"B"}\n}\n]}', 3),
    "not UTF-8": (b'{\n"items": [\n{"PK":{"S":"\xff"},"SK":{"S":"B"}}\n]}', 3),
    "nested too deeply": ('{"items": ' + "[" * 100_000, 1),
    "unknown index": ('{"indexes": [["a"]], "items": []}', 1),
    "huge number": ('{"applied": ' + "1" * 5000 + ', "items": []}', 1),
    "surrogate": ('{\n"items": [\n{"PK":{"S":"\\ud800"},"SK":{"S":"B"}}\n]}', 3),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_named_with_its_line_and_never_overwritten(engine: FileEngine, case: str) -> None:
    engine.write(Put(OTHER, item("B")))
    text, line = BROKEN[case]
    rewrite(path_of(engine), text)
    before = contents_of(engine.folder)
    for one in (engine, opened(engine)):
        for call in attempts(one):
            with pytest.raises(ItemDecodeError) as caught:
                call()
            assert caught.value.where == f"{path_of(engine)} line {line}"
            assert "\n" not in str(caught.value)
        one.close()
    assert contents_of(engine.folder) == before


def test_a_broken_file_that_is_mended_is_read_again_and_the_journal_with_it(engine: FileEngine) -> None:
    engine.write(Put(TABLE, item("A")), Put(OTHER, item("B")))
    good = path_of(engine).read_text()
    rewrite(path_of(engine), good[:-3])
    with pytest.raises(ItemDecodeError):
        engine.get(TABLE, [KEY])
    rewrite(path_of(engine), good)
    assert content(engine) == [item("A")]
    assert content(engine, OTHER) == [item("B")]


def test_an_edit_by_hand_is_honoured_at_once_and_survives_later_checkpoints(
    engine: FileEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.put_many(TABLE, [item("A", text="old"), item("GONE")])
    engine.close()
    engine.write(Put(TABLE, item("B", text="in the journal")))
    edited = json.loads(path_of(engine).read_text())
    edited["items"] = [item("A", text="by hand"), item("C", text="new by hand")]
    rewrite(path_of(engine), json.dumps(edited, indent=4))
    expected = [item("A", text="by hand"), item("B", text="in the journal"), item("C", text="new by hand")]
    for one in (engine, opened(engine)):
        assert content(one) == expected
    monkeypatch.setattr(file, "CHECKPOINT_BYTES", 1)
    engine.put_many(OTHER, [item(f"P{number}", text="x" * 100) for number in range(30)])
    engine.close()
    for one in (engine, opened(engine)):
        assert content(one) == expected


def test_an_edit_in_place_is_noticed_by_its_size(engine: FileEngine) -> None:
    engine.put_many(TABLE, [item("A", text="old")])
    engine.close()
    with path_of(engine).open("r+", encoding="utf-8") as opened_file:
        text = opened_file.read().replace('"old"', '"longer by hand"')
        opened_file.seek(0)
        opened_file.write(text)
    assert content(engine) == [item("A", text="longer by hand")]
    engine.write(Update(TABLE, KEY, {"more": {"S": "x"}}))
    engine.close()
    assert content(opened(engine)) == [item("A", text="longer by hand", more="x")]


def test_a_file_edited_while_the_journal_is_folded_is_not_overwritten(
    engine: FileEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.put_many(TABLE, [item("A", text="old")])
    engine.close()
    monkeypatch.setattr(file, "CHECKPOINT_BYTES", 1)
    append = engine._journal.append

    def append_and_edit(number: int, images: Any) -> None:
        append(number, images)
        rewrite(path_of(engine), path_of(engine).read_text().replace("old", "by hand"))
        monkeypatch.setattr(engine._journal, "append", append)

    monkeypatch.setattr(engine._journal, "append", append_and_edit)
    engine.write(*(Put(OTHER, item(f"P{number}", text="x" * 500)) for number in range(20)))
    assert content(engine) == [item("A", text="by hand")]
    engine.write(Put(OTHER, item("LAST")))
    engine.close()
    for one in (engine, opened(engine)):
        assert content(one) == [item("A", text="by hand")]
        assert len(content(one, OTHER)) == 21


def test_a_file_written_by_hand_needs_items_only(tmp_path: Path) -> None:
    (tmp_path / f"{TABLE}.json").write_text('{"items": [' + GOOD + "]}")
    engine = FileEngine(tmp_path)
    assert content(engine) == [item("A")]
    engine.write(Put(TABLE, item("B")))
    assert content(opened(engine)) == [item("A"), item("B")]


@pytest.mark.parametrize("written", [0, 1, 40])
def test_a_full_disk_leaves_the_journal_as_before_and_the_engine_usable(
    engine: FileEngine, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    engine.write(Put(TABLE, item("A")))
    other = opened(engine)
    before = contents_of(engine.folder)
    fill_the_disk(monkeypatch, written)
    for _ in range(2):
        with pytest.raises(UnavailableError, match="No space left"):
            engine.write(Put(TABLE, item("B")), Put(OTHER, item("B")))
    assert contents_of(engine.folder) == before
    assert content(engine) == content(other) == [item("A")]
    monkeypatch.undo()
    engine.write(Put(TABLE, item("C")))
    for one in (engine, other, opened(engine)):
        assert content(one) == [item("A"), item("C")]
        assert content(one, OTHER) == []


def test_a_full_disk_while_the_journal_is_folded_fails_neither_the_write_nor_the_close(
    engine: FileEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file, "CHECKPOINT_BYTES", 1)

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(file, "write_table", full)
        engine.put_many(TABLE, [item("A", text="x" * 1000)])
        engine.write(Put(TABLE, item("B")))
        engine.close()
    for one in (engine, opened(engine)):
        assert [key_of(found).pk for found in content(one)] == ["A", "B"]
    engine.write(Put(TABLE, item("C")))
    assert len(json.loads(path_of(engine).read_text())["items"]) == 3


def test_a_table_that_could_not_be_made_does_not_take_writes(
    engine: FileEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(file, "write_table", full)
        with pytest.raises(UnavailableError, match="No space left"):
            engine.create_tables([TableSpec("bluestar-new")])
    with pytest.raises(ConfigurationError, match="create"):
        engine.write(Put("bluestar-new", item("A")))
    assert engine.create_tables([TableSpec("bluestar-new")]) == ["bluestar-new"]
