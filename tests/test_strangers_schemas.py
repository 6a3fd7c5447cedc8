"""JSON Schemas and patterns of strangers: one clear error, soon, and the meaning that jsonschema gives them."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bluestar_store.documents.data_files import read_data
from bluestar_store.documents.json_schema import schema_problems
from bluestar_store.errors import ConfigurationError, SeedError
from bluestar_store.seeding import read
from tests.strangers import bounded

__all__ = ["bounded"]  # fixtures


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
