"""Checks against a JSON Schema, by the extra `documents`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bluestar_store.engines.exact_json import pointer_part
from bluestar_store.errors import ConfigurationError


def schema_problems(schema: Any, content: Any, where: str) -> Iterator[tuple[str, str]]:
    """Each thing that the schema does not allow: a JSON pointer into the content, and why; in the content's order.

    Nothing is fetched: a `$ref` leads within the schema. Raises ConfigurationError, which names the schema as `where`,
    for one that is none.
    """
    try:
        from jsonschema.exceptions import SchemaError
        from jsonschema.validators import Draft202012Validator, validator_for
        from referencing import Registry
        from referencing.exceptions import Unresolvable
    except ModuleNotFoundError:
        raise ConfigurationError(
            f"{where}: a JSON Schema is checked by jsonschema: pip install 'bluestar-store[documents]'"
        ) from None
    kind = validator_for(schema, default=Draft202012Validator)
    try:
        kind.check_schema(schema)
        validator = kind(schema, registry=Registry(), format_checker=kind.FORMAT_CHECKER)
        found = sorted(validator.iter_errors(content), key=lambda error: list(error.absolute_path))
    except (SchemaError, Unresolvable) as error:
        raise ConfigurationError(f"{where} is no JSON Schema that can be used: {error}") from None
    for problem in found:
        yield "".join(f"/{pointer_part(part)}" for part in problem.absolute_path), _reason(problem)


def _reason(problem: Any) -> str:
    """Why, without the value, which may be long or a secret."""
    allowed = str(problem.validator_value)
    return f"breaks the schema's {problem.validator}: {allowed if len(allowed) <= 200 else allowed[:200] + '...'}"
