"""Checks against a JSON Schema, by the extra `documents`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Any, TypeAlias

from pydantic_core import SchemaError, SchemaValidator, core_schema

from bluestar_store.engines.exact_json import pointer_part
from bluestar_store.errors import ConfigurationError

Keyword: TypeAlias = Callable[[Any, Any, Any, Any], Any]

MAX_PROBLEMS = 100
"""Mistakes that are told at once."""
REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
STEPS, STEPS_A_VALUE = 10_000, 200
"""References that a check may follow, in all and for each value in what is checked."""


def schema_problems(schema: Any, content: Any, where: str) -> Iterator[tuple[str, str]]:
    """Each thing that the schema does not allow: a JSON pointer into the content, and why; in the content's order.

    Nothing is fetched: a `$ref` leads within the schema. Raises ConfigurationError, which names the schema as `where`,
    for one that is none.
    """
    try:
        from jsonschema.exceptions import SchemaError as JsonSchemaError
        from jsonschema.validators import Draft202012Validator, extend, validator_for
        from referencing import Registry
        from referencing.exceptions import Unresolvable
    except ModuleNotFoundError:
        raise ConfigurationError(
            f"{where}: a JSON Schema is checked by jsonschema: pip install 'bluestar-store[documents]'"
        ) from None
    usual = validator_for(schema, default=Draft202012Validator)
    steps = Steps(sum(1 for _ in _values(content)))
    kind = extend(
        usual,
        {
            "pattern": _pattern,
            "patternProperties": _pattern_properties,
            "additionalProperties": _additional_properties,
            **{name: steps.counting(usual.VALIDATORS[name]) for name in REFERENCES if name in usual.VALIDATORS},
        },
    )
    try:
        if {"unevaluatedProperties", "patternProperties"} <= _names(schema):
            raise BadSchemaError("unevaluatedProperties and patternProperties cannot be used together")
        usual.check_schema(schema)
        validator = kind(schema, registry=Registry(), format_checker=kind.FORMAT_CHECKER)
        found = sorted(
            islice(validator.iter_errors(content), MAX_PROBLEMS), key=lambda error: list(error.absolute_path)
        )
    except (JsonSchemaError, Unresolvable, BadSchemaError) as error:
        raise ConfigurationError(f"{where} is no JSON Schema that can be used: {_said(error)}") from None
    except RecursionError:
        raise ConfigurationError(
            f"{where} is no JSON Schema that can be used: it refers to itself without end"
        ) from None
    except (ValueError, TypeError, ArithmeticError) as error:  # such as a limit that is a text
        raise ConfigurationError(
            f"{where} is no JSON Schema that can be used: {type(error).__name__}: {str(error)[:200]}"
        ) from None
    for problem in found:
        yield "".join(f"/{pointer_part(part)}" for part in problem.absolute_path), _reason(problem)
    if len(found) == MAX_PROBLEMS:
        yield "", "may have more: these are the first ones"


def _said(error: Exception) -> str:
    """jsonschema's own text repeats the whole schema, however deep it is."""
    return str(getattr(error, "message", None) or error)[:500]


class BadSchemaError(Exception):
    """A schema that would take for ever."""


class Steps:
    """Counts the references that a check follows: where each leads to two others, they never end."""

    def __init__(self, size: int) -> None:
        """`size`: the values in what is checked."""
        self._left = STEPS + STEPS_A_VALUE * size

    def counting(self, keyword: Keyword) -> Keyword:
        """A keyword that refers, counted."""

        def counted(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
            self._left -= 1
            if self._left < 0:
                raise BadSchemaError("it follows too many references")
            yield from keyword(validator, value, instance, schema) or ()

        return counted


def _values(content: Any) -> Iterator[Any]:
    """All values in it, itself among them."""
    waiting = [content]
    while waiting:
        value = waiting.pop()
        yield value
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def _names(schema: Any) -> set[str]:
    return {name for value in _values(schema) if isinstance(value, dict) for name in value}


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> SchemaValidator:
    """A pattern in a regular expression engine whose time grows with the text alone, which Python's does not."""
    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
    except SchemaError as error:
        reason = str(error).strip().rpartition("error: ")[2][:200]
        raise BadSchemaError(f"pattern {pattern[:100]!r}: {reason}") from None


def _is_like(pattern: str, text: str) -> bool:
    try:
        _compiled(pattern).validate_python(text)
    except ValueError:
        return False
    return True


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[Any]:
    """JSON Schema's `pattern`."""
    from jsonschema.exceptions import ValidationError

    if isinstance(instance, str) and not _is_like(pattern, instance):
        yield ValidationError("does not match")


def _pattern_properties(validator: Any, patterns: Any, instance: Any, schema: Any) -> Iterator[Any]:
    """JSON Schema's `patternProperties`."""
    if isinstance(instance, dict):
        for pattern, inner in patterns.items():
            for name, value in instance.items():
                if _is_like(pattern, name):
                    yield from validator.descend(value, inner, path=name, schema_path=pattern)


def _additional_properties(validator: Any, inner: Any, instance: Any, schema: Any) -> Iterator[Any]:
    """JSON Schema's `additionalProperties`, whose meaning depends on `patternProperties`."""
    from jsonschema.exceptions import ValidationError

    if isinstance(instance, dict):
        patterns = schema.get("patternProperties", ())
        for name, value in instance.items():
            if name in schema.get("properties", ()) or any(_is_like(pattern, name) for pattern in patterns):
                continue
            if isinstance(inner, dict):
                yield from validator.descend(value, inner, path=name)
            elif not inner:
                yield ValidationError("has other properties")
                return


def _reason(problem: Any) -> str:
    """Why, without the value, which may be long or a secret."""
    allowed = str(problem.validator_value)
    return f"breaks the schema's {problem.validator}: {allowed if len(allowed) <= 200 else allowed[:200] + '...'}"
