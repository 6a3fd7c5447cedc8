"""Bounds the work of a check against a JSON Schema, however the schema or the content was made.

The checks are jsonschema's. Each keyword costs steps, whose number follows from the size of the content; a check that
uses up its steps is refused. Keywords for which jsonschema needs more than linear time (comparing each item with each
other one, backtracking regular expressions) are implemented here.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, TypeAlias

from pydantic_core import SchemaError, SchemaValidator, core_schema

Keyword: TypeAlias = Callable[[Any, Any, Any, Any], Any]

STEPS, STEPS_A_VALUE = 300_000, 50
"""That a check may take, in all and for each value in what is checked: some 700,000 of them are a second."""
STEPS_A_SECOND = 700_000
STEPS_AN_ERROR, STEPS_A_LOOK = 10, 15
"""Those of a mistake, which takes memory until it is known whether an `anyOf` forgives it; and those of a look at a
schema for what it has evaluated."""
MAX_UNEVALUATED = 500
"""Members that jsonschema compares with all others."""
MAX_PATTERN = 20_000
"""Characters of a pattern, those that are to be repeated counted as often."""
REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
LOOPS = {
    **dict.fromkeys(("items", "additionalItems", "prefixItems", "propertyNames"), 1),
    **dict.fromkeys(("additionalProperties", "patternProperties"), 1),
    **dict.fromkeys(("unevaluatedItems", "unevaluatedProperties"), 4),
    "contains": 4,
}
"""Keywords that look at every member of a value, and the steps that each takes."""

_COUNT = re.compile(r"\{([0-9]{1,9})(,?)([0-9]{0,9})\}")


class BadSchemaError(Exception):
    """A schema that would take for ever, or that has a pattern that is none."""


class Steps:
    """Those of one check. BadSchemaError where they are used up."""

    def __init__(self, content_size: int = 0, schema_size: int = 0) -> None:
        """Both are numbers of values."""
        self._left, self._schema_size = STEPS + STEPS_A_VALUE * content_size, schema_size
        self._patterns: dict[str, tuple[SchemaValidator, int]] = {}
        self._enums: dict[int, frozenset[Any]] = {}

    def take(self, count: int) -> None:
        """Use up so many."""
        self._left -= count
        if self._left < 0:
            raise BadSchemaError("checking this takes too many steps; it may refer to itself without end")

    def bounded(self, usual: Any) -> Any:
        """jsonschema's class for a dialect, with every keyword counted."""
        from jsonschema.validators import extend

        own: dict[str, Keyword] = {
            "pattern": self._pattern,
            "patternProperties": self._pattern_properties,
            "additionalProperties": self._additional_properties,
            "enum": self._enum,
            "const": self._const,
            "uniqueItems": self._unique_items,
            "format": self._format,
        }
        keywords = {name: self._counted(name, own.get(name, each)) for name, each in usual.VALIDATORS.items()}
        kind = extend(usual, keywords, type_checker=usual.TYPE_CHECKER.redefine("boolean", self._is_boolean))
        kind.evolve = _evolved(kind)  # else a `$schema` further in leads to keywords that nobody counts
        return kind

    def _is_boolean(self, _: Any, value: object) -> bool:
        self.take(STEPS_A_LOOK)  # asked of each schema that is looked through for what it has evaluated
        return isinstance(value, bool)

    def _counted(self, name: str, keyword: Keyword) -> Keyword:
        loops, refers, has_data = LOOPS.get(name, 0), name in REFERENCES, name in ("enum", "const")

        def counted(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
            cost = 1
            if loops and isinstance(instance, list | dict):
                cost += loops * len(instance)
                if name.startswith("unevaluated") and len(instance) > MAX_UNEVALUATED:
                    raise BadSchemaError(f"{name} is for {MAX_UNEVALUATED} members at most, not {len(instance)}")
            if isinstance(value, list | dict) and not has_data:
                cost += len(value)
                if isinstance(value, dict) and name.startswith("depend"):
                    cost += sum(len(inner) for inner in value.values() if isinstance(inner, list))
            if refers and isinstance(value, str):
                by_name = value != "#" and not value.startswith("#/")  # which is looked for in all of the schema
                cost += len(value) // 4 + (self._schema_size if by_name else 0)
            self.take(cost)
            for error in keyword(validator, value, instance, schema) or ():
                is_new = not isinstance(error.validator, str)
                self.take(STEPS_AN_ERROR + len(error.message) // 50 if is_new else 1)  # its text shows all of the value
                error.message, error.context = error.message[:500], []
                yield error

        return counted

    # ------------------------------------------------------------------------------------------------------- equality

    def _key(self, value: Any) -> Any:
        """The same for equal values, and for no others: True is not 1, and 1 is 1.0."""
        self.take(1)
        match value:
            case bool() | None:
                return (value,)
            case str():
                return value
            case list():
                return "list", tuple(map(self._key, value))
            case dict():
                return "dict", frozenset((name, self._key(inner)) for name, inner in value.items())
        return "number", _spelled(value)

    def _enum(self, validator: Any, allowed: Any, instance: Any, schema: Any) -> Iterator[Any]:
        from jsonschema.exceptions import ValidationError

        if (found := self._enums.get(id(allowed))) is None:
            found = self._enums[id(allowed)] = frozenset(map(self._key, allowed))
        if self._key(instance) not in found:
            yield ValidationError("is not allowed")

    def _const(self, validator: Any, only: Any, instance: Any, schema: Any) -> Iterator[Any]:
        from jsonschema.exceptions import ValidationError

        if self._key(instance) != self._key(only):
            yield ValidationError("is not allowed")

    def _unique_items(self, validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[Any]:
        from jsonschema.exceptions import ValidationError

        if wanted and isinstance(instance, list) and len(set(map(self._key, instance))) < len(instance):
            yield ValidationError("has an item twice")

    # ------------------------------------------------------------------------------------------------------- patterns

    def _is_like(self, pattern: Any, text: str) -> bool:
        compiled, size = self._patterns.get(pattern) or self._compiled(pattern)
        self.take(size * len(text) // 2000)
        try:
            compiled.validate_python(text)
        except ValueError:
            return False
        return True

    def _compiled(self, pattern: str) -> tuple[SchemaValidator, int]:
        """A pattern, in an engine whose time grows with its size and the text alone, and its size."""
        size, began = _expanded(pattern), time.thread_time()
        if size > MAX_PATTERN:
            raise BadSchemaError(f"pattern {pattern[:100]!r} is too long, or repeats too much")
        try:
            made = SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
        except SchemaError as error:
            reason = str(error).strip().rpartition("rror: ")[2][:200]
            raise BadSchemaError(f"pattern {pattern[:100]!r}: {reason}") from None
        finally:
            self.take(int((time.thread_time() - began) * STEPS_A_SECOND))
        self._patterns[pattern] = made, size
        return made, size

    def _pattern(self, validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[Any]:
        from jsonschema.exceptions import ValidationError

        if isinstance(instance, str) and not self._is_like(pattern, instance):
            yield ValidationError("does not match")

    def _pattern_properties(self, validator: Any, patterns: Any, instance: Any, schema: Any) -> Iterator[Any]:
        if isinstance(instance, dict):
            for pattern, inner in patterns.items():
                self.take(len(instance))
                for name, value in instance.items():
                    if self._is_like(pattern, name):
                        yield from validator.descend(value, inner, path=name, schema_path=pattern)

    def _additional_properties(self, validator: Any, inner: Any, instance: Any, schema: Any) -> Iterator[Any]:
        from jsonschema.exceptions import ValidationError

        if not isinstance(instance, dict):
            return
        patterns = schema.get("patternProperties", ())
        self.take(len(instance) * len(patterns))
        for name, value in instance.items():
            if name in schema.get("properties", ()) or any(self._is_like(pattern, name) for pattern in patterns):
                continue
            if isinstance(inner, dict):
                yield from validator.descend(value, inner, path=name)
            elif not inner:
                yield ValidationError("has other properties")
                return

    def _format(self, validator: Any, name: str, instance: Any, schema: Any) -> Iterator[Any]:
        from jsonschema.exceptions import FormatError, ValidationError

        try:
            if name == "regex" and isinstance(instance, str):
                self._compiled(instance)
            elif validator.format_checker is not None:
                validator.format_checker.check(instance, name)
        except (FormatError, BadSchemaError) as error:
            if self._left < 0:
                raise
            yield ValidationError(str(error))


def _evolved(kind: Any) -> Callable[..., Any]:
    """jsonschema's `evolve` for a class, which stays with it."""
    from attrs import fields

    names = [(field.alias, field.name) for field in fields(kind) if field.init]

    def evolve(self: Any, **changes: Any) -> Any:
        for alias, name in names:
            if alias not in changes:
                changes[alias] = getattr(self, name)
        return kind(**changes)

    return evolve


def size_of(content: Any) -> int:
    """How many values there are in it, itself among them."""
    return sum(1 for _ in values(content))


def values(content: Any) -> Iterator[Any]:
    """All values in it, itself among them."""
    waiting = [content]
    while waiting:
        value = waiting.pop()
        yield value
        if isinstance(value, Mapping):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _spelled(number: Any) -> str:
    """A number in the one spelling of its value; as text, for whose hashes nobody can make many that are the same."""
    text = format(Decimal(number), "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def _expanded(pattern: str) -> int:
    """How many characters a pattern has when what it repeats a number of times is written out; roughly."""
    sizes, last, position = [0], 0, 0
    while position < len(pattern):
        char, count = pattern[position], _COUNT.match(pattern, position)
        if count is not None:
            low, comma, high = count.groups()
            times = max(int(high if comma and high else low), 1)
            sizes[-1] += last * (times - 1)
            last, position = last * times, count.end()
            continue
        if char == "(":
            sizes.append(0)
        elif char == ")" and len(sizes) > 1:
            last = sizes.pop()
            sizes[-1] += last
        else:
            position = _end_of_class(pattern, position) if char == "[" else position + (char == "\\")
            sizes[-1] += 1
            last = 1
        position += 1
    return sum(sizes)


def _end_of_class(pattern: str, start: int) -> int:
    """Where a class of characters ends that begins there."""
    position = start + 1
    while position < len(pattern) and (pattern[position] != "]" or position == start + 1):
        position += 2 if pattern[position] == "\\" else 1
    return position
