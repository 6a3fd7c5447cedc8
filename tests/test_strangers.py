"""Files, schemas, items and identifiers of strangers: one clear error, soon, and in bounded memory."""

from __future__ import annotations

import json
import os
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bluestar_store import BatchState, CalculationRule, InvalidKeyError, ItemDecodeError, Settings, Store, VendorSchema
from bluestar_store.cli.errors import BadUsage
from bluestar_store.cli.secrets import with_secrets
from bluestar_store.documents import get_store
from bluestar_store.documents.data_files import read_data
from bluestar_store.documents.json_schema import schema_problems
from bluestar_store.engines.exact_json import exact_json
from bluestar_store.errors import BlueStarError, ConfigurationError, FileStoreError, InvalidEntityError, SeedError
from bluestar_store.files.local import LocalFileStore
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.models.config import ACH_CONFIG
from bluestar_store.models.vendor import VENDOR_SCHEMA
from bluestar_store.protocols import Put
from bluestar_store.repositories.revisions import Revision
from bluestar_store.rulesets import load
from bluestar_store.rulesets.editing import read_columns, read_steps, values_of
from bluestar_store.rulesets.plan_file import read_plan
from bluestar_store.seeding import baseline, read
from bluestar_store.transfer.exporting import export as export_
from bluestar_store.transfer.files import Manifest, TableDigest
from bluestar_store.transfer.importing import ImportProgress, import_

SECONDS, MEGABYTES = 10.0, 40
"""Generous: it takes a second of this process's time at most, and a few megabytes."""


@pytest.fixture(autouse=True)
def bounded() -> Iterator[None]:
    started = time.process_time()  # what others do on this machine is not counted
    yield
    assert time.process_time() - started < SECONDS


# -------------------------------------------------------------------------------------------------------------- files


def rule_set(path: Path) -> None:
    read(path.rename(path.with_name("calculation-rules.json")).parent)


def engine(path: Path) -> None:
    table = path.rename(path.with_name("bluestar-calculation-rules.json"))
    with Store.open(Settings(persistence_mode="file", file_persistence_dir=table.parent)) as store:
        store.calculation_rules.get("ACME", "match")


def documents(path: Path) -> None:
    (path.with_name(".orders.documents.lock")).touch()
    folder = path.rename(path.with_name("orders.json")).parent
    get_store("orders", "id", settings=Settings(persistence_mode="file", file_persistence_dir=folder))


def data(path: Path) -> None:
    folder = path.parent / "documents"
    settings = Settings(persistence_mode="file", file_persistence_dir=folder, test_data_file=path)
    get_store("items", "id", settings=settings)


def schema(path: Path) -> None:
    content = path.with_name("data.json")
    content.write_text('{"orders": []}')
    read_data(content, path)


def columns(path: Path) -> None:
    read_columns(path)


def export(path: Path) -> None:
    path.rename(path.with_name("manifest.json"))
    with Store.open(Settings(persistence_mode="memory")) as store:
        store.create_tables()
        import_(store, path.parent)


def plan(path: Path) -> None:
    read_plan(path)


def steps(path: Path) -> None:
    read_steps(path, "ACME", "Weekly")


def journal(path: Path) -> None:
    path.rename(path.with_name("journal.jsonl"))
    with Store.open(Settings(persistence_mode="file", file_persistence_dir=path.parent)) as store:
        store.calculation_rules.get("ACME", "match")


def items(path: Path) -> None:
    table = TableDigest(1, "0" * 64)
    (path.with_name("manifest.json")).write_bytes(Manifest({"calculation-rules": table}).to_bytes())
    path.rename(path.with_name("calculation-rules.jsonl"))
    with Store.open(Settings(persistence_mode="memory")) as store:
        store.create_tables()
        import_(store, path.parent)


def file_store(path: Path) -> None:
    with LocalFileStore(path.parent).open(path.name) as file:
        file.read(4)
    raise FileStoreError("a file store gives files as they are")


READERS = [rule_set, engine, documents, data, schema, columns, export, plan, steps, journal, items, file_store]


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def gigabytes(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(5 * 1024**3)


def nested(path: Path) -> None:
    path.write_text("[" * 100_000 + "]" * 100_000)


def nested_less(path: Path) -> None:
    path.write_text(
        '{"calculation_rules": [{"plan_id": ' + "[" * 900 + "]" * 900 + '}], "items": ' + "[" * 900 + "]" * 900 + "}"
    )


def long_number(path: Path) -> None:
    path.write_text(
        '{"calculation_rules": [{"plan_id": "ACME", "calc_type": "match", "max_pct": ' + "9" * 100_000 + "}]}"
    )


def large_number(path: Path) -> None:
    path.write_text('{"calculation_rules": [{"plan_id": "ACME", "calc_type": "match", "max_pct": 1E+999999}]}')


def folder(path: Path) -> None:
    path.mkdir()


def circle(path: Path) -> None:
    other = path.with_name("circle")
    other.symlink_to(other)
    path.symlink_to(other)


def empty(path: Path) -> None:
    path.touch()


def nothing_but_zeros(path: Path) -> None:
    path.write_bytes(b"\0" * 1000)


def no_utf8(path: Path) -> None:
    path.write_bytes(b'{"calculation_rules": [{"plan_id": "\xff\xfe"}]}')


def half_characters(path: Path) -> None:
    path.write_text('{"calculation_rules": [{"plan_id": "\\ud800", "calc_type": "match"}], "format": 1, "\\udfff": 1}')


def marked(path: Path) -> None:
    path.write_bytes(b'\xef\xbb\xbf{"calculation_rules": 5}')


def no_number(path: Path) -> None:
    path.write_text(
        '{"calculation_rules": [{"plan_id": "ACME", "calc_type": "match", "max_pct": NaN}], "a": -Infinity}'
    )


def names_twice(path: Path) -> None:
    names = "".join(f'"n{n}": 1, ' for n in range(100_000))
    path.write_text("{" + names + '"n99999": 1}')


MADE = [pipe, device, gigabytes, nested, nested_less, long_number, large_number, folder, circle, nothing_but_zeros]
MADE += [no_utf8, half_characters, marked, no_number, names_twice]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("make", [*MADE, empty])
def test_a_file_that_a_stranger_made_is_one_error(
    make: Callable[[Path], None], reader: Callable[[Path], None], tmp_path: Path
) -> None:
    if reader is journal and make is empty:
        pytest.skip("what a writer that died at once left behind")
    path = tmp_path / "made"
    make(path)
    tracemalloc.start()
    try:
        with pytest.raises(BlueStarError) as raised:
            reader(path)
        assert tracemalloc.get_traced_memory()[1] < MEGABYTES * 1024**2
    finally:
        tracemalloc.stop()
    assert 0 < len(str(raised.value)) < 2000
    assert len(str(raised.value).splitlines()) <= 5


@pytest.mark.parametrize("reader", [rule_set, data, schema, columns, export, steps])
def test_a_file_of_nothing_but_separators_is_not_parsed(reader: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "made"
    path.write_bytes(b"[" + b"[]," * 15_000_000 + b"[]]")
    began = time.thread_time()
    with pytest.raises(BlueStarError, match="more than 2,000,000 values"):
        reader(path)
    assert time.thread_time() - began < 2


def test_of_20_000_mistakes_the_first_hundred_are_told(tmp_path: Path) -> None:
    rules = [{"plan_id": "ACME", "calc_type": "match", "max_pt": 5}] * 20_000
    (tmp_path / "calculation-rules.json").write_text(json.dumps({"calculation_rules": rules}))
    with pytest.raises(SeedError, match="may have more: these are the first ones") as raised:
        read(tmp_path)
    assert len(raised.value.problems) == 101
    (tmp_path / "data.json").write_text(json.dumps({"orders": [{"a": 1}] * 20_000}))
    (tmp_path / "schema.json").write_text('{"additionalProperties": {"items": {"required": ["id"]}}}')
    with pytest.raises(SeedError, match="may have more: these are the first ones") as raised:
        read_data(tmp_path / "data.json", tmp_path / "schema.json")
    assert len(raised.value.problems) == 101
    (tmp_path / "orders.json").write_text(json.dumps([1] * 20_000))
    with pytest.raises(BlueStarError):
        get_store("orders", "id", settings=Settings(persistence_mode="file", file_persistence_dir=tmp_path))


def interrupted(folder: Path) -> tuple[Store, Path]:
    """A store that an export is to be imported into, and the place of the notes of an import that was cut off."""
    with Store.open(Settings(persistence_mode="memory")) as source:
        source.create_tables()
        source.calculation_rules.put(CalculationRule(plan_id="ACME", calc_type="match"))
        export_(source, folder)
    target = Store.open(Settings(persistence_mode="memory"))
    target.create_tables()
    return target, ImportProgress(folder, target, Manifest.read(folder))._path


@pytest.mark.parametrize("make", [*MADE, empty])
def test_notes_of_an_import_that_a_stranger_made_count_as_none(make: Callable[[Path], None], tmp_path: Path) -> None:
    target, notes = interrupted(tmp_path / "export")
    make(notes)
    with target:
        try:
            import_(target, tmp_path / "export")
        except (BlueStarError, OSError):  # where no notes can be made
            assert make in (folder, pipe, circle, device)
            return
        assert target.calculation_rules.get("ACME", "match").plan_id == "ACME"


@pytest.mark.parametrize("make", [make for make in MADE if make is not folder])
def test_a_mark_of_a_journal_that_a_stranger_made_counts_as_none(make: Callable[[Path], None], tmp_path: Path) -> None:
    settings = Settings(persistence_mode="file", file_persistence_dir=tmp_path)
    rule = CalculationRule(plan_id="ACME", calc_type="match")
    with Store.open(settings) as store:
        store.create_tables()
        store.calculation_rules.put(rule)
    (tmp_path / ".journal.synced").unlink(missing_ok=True)
    make(tmp_path / ".journal.synced")
    with Store.open(settings) as store:
        store.calculation_rules.put(rule.model_copy(update={"description": "d"}))
    with Store.open(settings) as store:
        assert store.calculation_rules.get("ACME", "match").description == "d"


@pytest.mark.parametrize(
    "entry",
    [
        {"number": "x", "images": []},
        {"number": 1.5, "images": []},
        {"number": 1, "images": [["t", "p", "s", {"PK": {"S": "p"}, "SK": {"S": "s"}, "n": {"N": "1E+999999"}}]]},
        {"number": 1, "images": [[1]]},
        {"number": 1},
        [],
    ],
    ids=str,
)
def test_an_entry_of_a_journal_that_is_none_is_one_error(entry: Any, tmp_path: Path) -> None:
    lines = [json.dumps({"number": 0, "images": []}).encode(), json.dumps(entry).encode()]
    (tmp_path / "journal.jsonl").write_bytes(b"".join(b"%08x %s\n" % (zlib.crc32(line), line) for line in lines))
    (tmp_path / "bluestar-calculation-rules.json").write_text('{"items": []}')
    with (
        Store.open(Settings(persistence_mode="file", file_persistence_dir=tmp_path)) as store,
        pytest.raises(ItemDecodeError, match=r"journal.jsonl line 2: was damaged"),
    ):
        store.calculation_rules.get("ACME", "match")


NO_JSON = ["1E+99999999999999999999", "9" * 5000, "[" * 100_000, "NaN", '{"a": 1, "a": 2}', "\ud800"]


@pytest.mark.parametrize("text", NO_JSON, ids=lambda text: ascii(text)[:9])
def test_a_value_on_a_command_line_that_takes_long_is_none(text: str) -> None:
    with pytest.raises(InvalidEntityError, match="mapping is no JSON"):
        values_of(VENDOR_SCHEMA, [f"mapping={text}"])


@pytest.mark.parametrize("make", [pipe, device, folder, circle, nothing_but_zeros, empty, no_utf8])
def test_a_bank_number_in_a_file_of_a_stranger_is_bad_usage(make: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "number"
    make(path)
    with pytest.raises(BadUsage, match=r"^account_number: "):
        list(with_secrets(ACH_CONFIG, [f"account_number=@{path}"]))


def test_a_bank_number_is_read_from_a_pipe_that_somebody_writes_into() -> None:
    reading, writing = os.pipe()
    later = threading.Timer(0.05, os.write, (writing, b"12345\n"))
    later.start()
    assert list(with_secrets(ACH_CONFIG, [f"account_number=@/dev/fd/{reading}"])) == ["account_number=12345"]
    later.join()
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("number", ["9" * 100_000, "9" * 400, "x", ""], ids=range(4))
def test_a_revision_that_a_stranger_wrote_counts_as_none(number: str) -> None:
    nested = "[" * 100_000
    moves = {"bs_move1": {"S": f"{number} {nested}"}, "bs_move2": {"S": f"5 {nested}"}}
    found = Revision.of(moves | {"bs_many": {"N": number}})
    assert [move.keys for move in found.moves.values()] == [()]
    assert found.many is None


@pytest.mark.parametrize("text", ["9" * 1001, "1E+1001", "1E+999999999999999999999", "0." + "9" * 2000, "-1E-5000"])
def test_a_number_that_takes_long_to_look_at_is_refused_when_it_is_read(text: str) -> None:
    with pytest.raises(ValueError, match="number"):
        exact_json(f'[{{"n": {text}}}]'.encode())


# ------------------------------------------------------------------------------------------------------------ schemas


def checked(tmp_path: Path, schema: Any, items: list[Any]) -> None:
    (tmp_path / "data.json").write_text(json.dumps({"orders": items}))
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    read_data(tmp_path / "data.json", tmp_path / "schema.json")


ENDLESS = {
    "itself": {"$ref": "#"},
    "a round": {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
    "twice each": {
        "$ref": "#/$defs/0",
        "$defs": {str(n): {"allOf": [{"$ref": f"#/$defs/{n + 1}"}] * 2} for n in range(40)} | {"40": {}},
    },
    "deep": json.loads('{"not":' * 300 + "{}" + "}" * 300),
    "limits": {"additionalProperties": {"maxItems": "many"}},
}


@pytest.mark.parametrize("schema", ENDLESS.values(), ids=ENDLESS)
def test_a_schema_that_never_ends_or_is_none_is_one_error(tmp_path: Path, schema: Any) -> None:
    if schema is ENDLESS["deep"]:
        with pytest.raises((ConfigurationError, SeedError)):
            checked(tmp_path, {"not": schema}, [{"id": "1"}])
        return
    with pytest.raises(ConfigurationError, match="is no JSON Schema that can be used"):
        checked(tmp_path, schema, [{"id": "1"}])


OBJECTS = [{"id": str(n), "n": n, "a": {"b": [n]}} for n in range(500)]


def of_items(schema: Any) -> dict[str, Any]:
    return {"additionalProperties": {"items": schema}}


def all_of_all(levels: int, **beside: Any) -> dict[str, Any]:
    inner: dict[str, Any] = {}
    for _ in range(levels):
        inner = {**beside, "allOf": [inner]}
    return inner


def doubling(**first: Any) -> dict[str, Any]:
    """Each definition leads to the next one in two ways."""
    steps = {str(n): {**first, "$ref": f"#/$defs/{n + 1}", "then": {"$ref": f"#/$defs/{n + 1}"}} for n in range(40)}
    return {"unevaluatedProperties": False, "$ref": "#/$defs/0", "$defs": steps | {"40": {}}}


SLOW = {
    "contains": {"additionalProperties": {"allOf": [{"contains": {"const": n}} for n in range(1000)]}},
    "unevaluated": of_items(all_of_all(16, unevaluatedProperties={})),
    "unevaluated, by references": doubling(**{"if": {}}),
    "dependentSchemas": of_items(
        {
            "dependentSchemas": {
                "id": {"allOf": [{"dependentSchemas": {"n": {"properties": {f"n{n}": {} for n in range(50)}}}}] * 100}
            }
        }
    ),
    "anyOf of anyOf": of_items({"allOf": [{"anyOf": [{"required": [f"x{n}"]} for n in range(200)] + [{}]}] * 50}),
    "names": {"additionalProperties": {"items": {"propertyNames": {"anyOf": [{"const": n} for n in range(2000)]}}}},
    "patterns": of_items({"patternProperties": {f"^{n}$": {} for n in range(2000)}}),
    "large patterns": of_items({"properties": {"id": {"pattern": "(a{1,500}){1,500}"}}}),
    "errors that show all": {"anyOf": [{"allOf": [{"not": {}}] * 3000}, {}]},
    "20,000 schemas": {"$defs": {str(n): {"type": "object"} for n in range(20_000)}},
}


@pytest.mark.parametrize("schema", SLOW.values(), ids=SLOW)
def test_a_schema_that_takes_too_many_steps_is_one_error(schema: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"S is no JSON Schema that can be used: .*(too many steps|too much)"):
        list(schema_problems(schema, {"orders": OBJECTS}, "S"))


@pytest.mark.parametrize("inside", [{}, {"$schema": "http://json-schema.org/draft-07/schema#"}], ids=["", "another"])
def test_what_a_schema_refers_to_is_counted_as_it_is_itself(inside: dict[str, Any]) -> None:
    part = {**inside, "properties": {"id": {"pattern": "^(a+)+$"}}}
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "additionalProperties": {"$ref": "#"},
        "items": {"$ref": "#/$defs/part"},
        "$defs": {"part": part},
    }
    problems = list(schema_problems(schema, {"orders": [{"id": "a" * 40 + "!"}]}, "S"))
    assert problems == [("/orders/0/id", "breaks the schema's pattern: ^(a+)+$")]


def test_large_data_and_long_lists_of_words_are_checked(tmp_path: Path) -> None:
    words = [f"w{n}" for n in range(100_000)]
    items = [{"id": f"w{n}", "kind": f"k{n % 10}", "n": n} for n in range(5000)]
    kinds = [{"properties": {"kind": {"const": f"k{n}"}}, "required": ["kind"]} for n in range(10)]
    schema = {"additionalProperties": {"uniqueItems": True, "items": {"properties": {"id": {"enum": words}}}}}
    assert list(schema_problems(schema, {"orders": items}, "S")) == []
    assert list(schema_problems(of_items({"oneOf": kinds}), {"orders": items}, "S")) == []
    assert len(list(schema_problems(schema, {"orders": [*items, items[0]]}, "S"))) == 1


@pytest.mark.parametrize("one", [True, 1, "1", None, [1], {"a": 1}, [True], {"a": True}, 0, False, "", [], {}])
def test_equal_values_are_those_that_are_equal_to_jsonschema(one: Any) -> None:
    from jsonschema import Draft202012Validator

    for other in (
        True,
        1,
        Decimal("1.0"),
        "1",
        None,
        [1],
        [Decimal(1)],
        {"a": 1},
        [True],
        {"a": True},
        0,
        False,
        "",
        [],
    ):
        for schema in ({"const": one}, {"enum": ["x", one]}, {"enum": [one, other]}):
            expected = Draft202012Validator(schema).is_valid(other)
            assert (list(schema_problems(schema, other, "S")) == []) == expected
        unique = {"uniqueItems": True}
        expected = Draft202012Validator(unique).is_valid([one, other])
        assert (list(schema_problems(unique, [one, other], "S")) == []) == expected


@pytest.mark.parametrize("keyword", ["pattern", "patternProperties", "additionalProperties"])
def test_no_pattern_of_a_schema_keeps_anybody_waiting(tmp_path: Path, keyword: str) -> None:
    evil, text = "^(a+)+$", "a" * 5000 + "!"
    kinds: dict[str, dict[str, Any]] = {
        "pattern": {"properties": {"id": {"pattern": evil}}},
        "patternProperties": {"patternProperties": {evil: False}},
        "additionalProperties": {"patternProperties": {evil: {}}, "additionalProperties": {}},
    }
    one = kinds[keyword]
    item = {"id": text, text: 1}
    if keyword == "pattern":
        with pytest.raises(SeedError, match="breaks the schema's pattern"):
            checked(tmp_path, {"additionalProperties": {"items": one}}, [item])
    else:
        checked(tmp_path, {"additionalProperties": {"items": one}}, [item])


def test_patterns_and_other_properties_mean_what_they_mean_to_jsonschema(tmp_path: Path) -> None:
    one = {"properties": {"id": {"pattern": "^A[0-9]{2}"}}, "patternProperties": {"^x-": {"type": "string"}}}
    whole = {"additionalProperties": {"items": {**one, "additionalProperties": False}}}
    checked(tmp_path, whole, [{"id": "A12 and more", "x-note": "text"}])
    for wrong in ({"id": "B12"}, {"id": "A12", "x-note": 5}, {"id": "A12", "y": 5}):
        with pytest.raises(SeedError):
            checked(tmp_path, whole, [wrong])
    with pytest.raises(ConfigurationError, match="look-around"):
        checked(
            tmp_path, {"additionalProperties": {"items": {"properties": {"id": {"pattern": "(?=a)"}}}}}, [{"id": "a"}]
        )


@pytest.mark.parametrize("pattern", ["a{99999999999}", "(" * 5000 + ")" * 5000, "("])
def test_a_rules_pattern_that_cannot_be_used_is_told(tmp_path: Path, pattern: str) -> None:
    rule = {"category": "SSN", "number": 1, "field": "ssn", "pattern": pattern}
    (tmp_path / "validation-rules.json").write_text(json.dumps({"validation_rules": [rule]}))
    with pytest.raises(SeedError, match="is no regular expression"):
        read(tmp_path)


# -------------------------------------------------------------------------------------------------------- identifiers

HIDDEN = {
    "\u202e": "U\\+202E RIGHT-TO-LEFT OVERRIDE",
    "\u200b": "U\\+200B ZERO WIDTH SPACE",
    "\ufeff": "U\\+FEFF",
    "\u2028": "U\\+2028",
}


@pytest.mark.parametrize(("char", "named"), HIDDEN.items())
def test_no_new_identifier_has_a_character_that_nobody_sees(char: str, named: str, tmp_path: Path) -> None:
    plan = f"AC{char}ME"
    with Store.open(Settings(persistence_mode="memory")) as store:
        store.create_tables()
        load(store, baseline())
        schema = VendorSchema(vendor_id="V", fingerprint="f", plan_id=plan)
        for write in (
            lambda: store.batches.start(plan, "Weekly", 2026),
            lambda: store.batches.put(BatchState(batch_id="b", plan_id=plan)),
            lambda: store.vendor_schemas.put(schema),
            lambda: store.calculation_rules.put(CalculationRule(plan_id=plan, calc_type="match")),
            lambda: store.calculation_rules.put(CalculationRule(plan_id="ACME", calc_type=f"m{char}")),
            lambda: store.holds.place(plan, reason="odd"),
            lambda: store.batches.start("ACME", "Weekly", 2026, batch_id=f"B{char}1"),
        ):
            with pytest.raises(InvalidKeyError, match=f"cannot be seen: {named}"):
                write()
    (tmp_path / "calculation-rules.json").write_text(
        json.dumps({"calculation_rules": [{"plan_id": plan, "calc_type": "match"}]})
    )
    with pytest.raises(SeedError, match=named):
        read(tmp_path)


def test_what_lies_under_such_an_identifier_is_read_changed_and_deleted() -> None:
    with Store.open(Settings(persistence_mode="memory")) as store:
        store.create_tables()
        table = store.tables.name(CALCULATION_RULE)
        item = {"PK": {"S": "CLIENT#AC\u202eME"}, "SK": {"S": "CALC#match"}, "max_pct": {"N": "5"}}
        store.engine.write(Put(table, item))
        found = store.calculation_rules.get("AC\u202eME", "match")
        assert found.max_pct == 5
        changed = store.calculation_rules.put(found.model_copy(update={"description": "odd"}))
        store.calculation_rules.delete(changed)


def test_a_control_character_is_named() -> None:
    with (
        Store.open(Settings(persistence_mode="memory")) as store,
        pytest.raises(InvalidKeyError, match="control character: U\\+001B"),
    ):
        store.calculation_rules.get("A\x1b[31m", "match")


@pytest.mark.parametrize("number", ["1E+300000", "1E+999999", "-1", "1.5"])
def test_a_version_that_is_none_is_one_error(number: str) -> None:
    item = {"PK": {"S": "CLIENT#ACME"}, "SK": {"S": "CALC#match"}, "version": {"N": number}}
    with pytest.raises(ItemDecodeError, match="version"):
        CALCULATION_RULE.decode(item)
