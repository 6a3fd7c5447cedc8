"""Public signatures say what they take and give: `Any` stands only where there is no type to say.

That is what a caller brought or knows: values in JSON and in DynamoDB's wire form, and a kind that may be any.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any as AnyType

import griffe
import pytest

ROOT = Path(__file__).parents[1]
REASONS = {
    "Entity": "pydantic's own methods take values that are not checked yet",
    "Settings": "pydantic's own constructor",
    "Faults.call": "any call's arguments",
    "FaultEngine": "hands any argument on to the engine around which it is",
    "ReadUnitEngine": "hands any argument on to the engine around which it is",
    "FakeRepository.get": "an identity, as the kind's key has it",
    "Mapper.made": "an entity's values, by the names of its fields",
    "ConflictError.place": "keys are made with errors, which cannot name their type",
    "TextListAttribute": "PynamoDB's own signature",
    "TextMapAttribute": "PynamoDB's own signature",
    "AsyncCalls": "typing.Coroutine has two types that nobody uses",
    "create_tables": "a boto3 resource, which has no class to name",
    "seed_pipeline_data": "a boto3 resource, which has no class to name",
    "Source": "a cache keeps whatever its sources load",
    "Stale": "a cache keeps whatever its sources load",
    "Cache": "a cache keeps whatever its sources load",
    "ConsistentCache": "a cache keeps whatever its sources load",
    "NullCache": "a cache keeps whatever its sources load",
    "DerivedValues": "a cache keeps whatever its sources load",
}
"""Names, or the classes that they are of."""


SAID = re.compile(r"(?:Mapping|dict)\[str, Any\]|Mapper\[Any\]")
"""Values by their names, and whichever kind."""


@pytest.fixture(scope="module")
def public_api() -> AnyType:
    spec = importlib.util.spec_from_file_location("public_api", ROOT / "docs" / "public_api.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def told_types(thing: griffe.Object) -> Iterator[tuple[str, str]]:
    """What a public name says of types: its own, or those of its parameters and its answer, of its members."""
    if isinstance(thing, griffe.Class):
        for name, member in thing.members.items():
            if (name == "__init__" or not name.startswith("_")) and isinstance(member, griffe.Object):
                yield from ((f"{thing.name}.{path}", text) for path, text in told_types(member))
    elif isinstance(thing, griffe.Function):
        if thing.overloads:
            return
        for parameter in thing.parameters:
            yield f"{thing.name}({parameter.name})", str(parameter.annotation)
        yield f"{thing.name}()", str(thing.returns)
    elif isinstance(thing, griffe.Attribute):
        yield thing.name, str(thing.value if "TypeAlias" in str(thing.annotation) else thing.annotation)


def leaves_open(text: str) -> bool:
    return re.search(r"\bAny\b", SAID.sub("", text)) is not None


def test_no_public_signature_leaves_a_type_open(public_api: AnyType) -> None:
    package = public_api.loaded()
    found = {
        path
        for module in public_api.modules()
        for thing in public_api.public(package, module).values()
        if thing is not None
        for path, text in told_types(thing)
        if leaves_open(text)
    }
    reasoned = {path for path in found if any(re.match(rf"{re.escape(name)}\b", path) for name in REASONS)}
    assert sorted(found - reasoned) == []
    needless = [name for name in REASONS if not any(re.match(rf"{re.escape(name)}\b", path) for path in found)]
    assert needless == []


def test_any_is_found_wherever_it_stands_but_for_values_by_name_and_any_kind() -> None:
    assert not leaves_open("Mapping[str, Any] | dict[str, dict[str, Any]] | Mapper[Any]")
    assert all(map(leaves_open, ("Any", "tuple[Any, ...]", "Callable[[Any], int]", "dict[str, list[Any]]")))
