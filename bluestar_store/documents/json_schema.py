"""Checks against a JSON Schema, by the extra `documents`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from reprlib import Repr
from typing import Any

from bluestar_store.documents.schema_steps import BadSchemaError, Steps, size_of, values
from bluestar_store.engines.exact_json import pointer_part
from bluestar_store.errors import ConfigurationError

MAX_PROBLEMS = 100
"""Mistakes that are told at once."""

_short = Repr()
_short.maxlevel, _short.maxlist, _short.maxdict, _short.maxstring, _short.maxother = 4, 20, 20, 100, 100


def schema_problems(schema: Any, content: Any, where: str) -> Iterator[tuple[str, str]]:
    """Each thing that the schema does not allow: a JSON pointer into the content, and why; in the content's order.

    Nothing is fetched: a `$ref` leads within the schema. Raises ConfigurationError, which names the schema as `where`,
    for one that is none, and for one whose check takes far more steps than others of such content (see `Steps`).
    """
    try:
        from jsonschema.exceptions import UnknownType
        from jsonschema.validators import Draft202012Validator, validator_for
        from referencing import Registry
        from referencing.exceptions import Unresolvable
    except ModuleNotFoundError:
        raise ConfigurationError(
            f"{where}: a JSON Schema is checked by jsonschema: pip install 'bluestar-store[documents]'"
        ) from None
    try:
        usual = validator_for(schema, default=Draft202012Validator)
        _check_schema(usual, schema)
        kind = Steps(size_of(content), size_of(schema)).bounded(usual)
        validator = kind(schema, registry=Registry(), format_checker=kind.FORMAT_CHECKER)
        found = sorted(
            islice(validator.iter_errors(content), MAX_PROBLEMS), key=lambda error: list(error.absolute_path)
        )
    except (Unresolvable, UnknownType, BadSchemaError) as error:
        raise ConfigurationError(f"{where} is no JSON Schema that can be used: {_said(error)}") from None
    except RecursionError:
        raise ConfigurationError(
            f"{where} is no JSON Schema that can be used: it refers to itself without end"
        ) from None
    except (ValueError, TypeError, AttributeError, ArithmeticError) as error:  # such as a limit that is a text
        raise ConfigurationError(
            f"{where} is no JSON Schema that can be used: {type(error).__name__}: {str(error)[:200]}"
        ) from None
    for problem in found:
        yield "".join(f"/{pointer_part(part)}" for part in problem.absolute_path), _reason(problem)
    if len(found) == MAX_PROBLEMS:
        yield "", "may have more: these are the first ones"


def _check_schema(usual: Any, schema: Any) -> None:
    """Raises BadSchemaError for a schema that is none, by the schema of schemas."""
    from jsonschema.validators import validator_for

    if {"unevaluatedProperties", "patternProperties"} <= _names(schema):
        raise BadSchemaError("unevaluatedProperties and patternProperties cannot be used together")
    kind = Steps().bounded(validator_for(usual.META_SCHEMA, default=usual))
    for error in kind(usual.META_SCHEMA, format_checker=kind.FORMAT_CHECKER).iter_errors(schema):
        where = "".join(f"/{pointer_part(part)}" for part in error.absolute_path)
        raise BadSchemaError(f"{where[:200]} {error.message}".strip())


def _said(error: Exception) -> str:
    """jsonschema's own text repeats the whole schema, however deep it is."""
    return str(getattr(error, "message", None) or getattr(error, "type", None) or error)[:500]


def _names(schema: Any) -> set[str]:
    return {name for value in values(schema) if isinstance(value, dict) for name in value}


def _reason(problem: Any) -> str:
    """Why, without the value, which may be long or a secret."""
    value = problem.validator_value
    allowed = value if isinstance(value, str) else _short.repr(value)
    return f"breaks the schema's {problem.validator}: {allowed if len(allowed) <= 200 else allowed[:200] + '...'}"
