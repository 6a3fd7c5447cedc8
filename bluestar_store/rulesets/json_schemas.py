"""JSON Schemas of the rule files, from the entities, so that editors complete and check them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bluestar_store.mapping.mapper import Mapper
from bluestar_store.models.registry import KINDS
from bluestar_store.redaction.tracebacks import without_locals
from bluestar_store.rulesets.reading import rule_files

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SUFFIX = ".schema.json"


def schema_name(file: str) -> str:
    """The schema file of a rule file: `irs-limits.schema.json` for `irs-limits.json`."""
    return file.removesuffix(".json") + SUFFIX


def json_schemas(kinds: Iterable[Mapper[Any]] = KINDS) -> dict[str, dict[str, Any]]:
    """The schema of each rule file, by the schema's own file name."""
    return {schema_name(file): _file_schema(file, lists) for file, lists in rule_files(kinds).items()}


@without_locals
def write_schemas(folder: Path, kinds: Iterable[Mapper[Any]] = KINDS) -> list[Path]:
    """Write the schemas into a folder, which is made if need be; the files, sorted by name."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, schema in sorted(json_schemas(kinds).items()):
        path = folder / name
        path.write_text(json.dumps(schema, indent=2) + "\n", encoding="utf-8")
        paths.append(path)
    return paths


def _file_schema(file: str, lists: Mapping[str, Mapper[Any]]) -> dict[str, Any]:
    properties: dict[str, Any] = {"$schema": {"type": "string"}}
    for name, kind in lists.items():
        properties[name] = {"type": "array", "items": _entity_schema(kind)}
    return {
        "$schema": DIALECT,
        "title": f"bluestar-store rule file {file}",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }


def _entity_schema(mapper: Mapper[Any]) -> dict[str, Any]:
    schema: dict[str, Any] = mapper.entity.model_json_schema(mode="validation")
    schema["description"] = str(schema.get("description", "")).partition("\n")[0]
    if mapper.derived is not None:
        schema["required"].remove(mapper.derived.field)  # it follows from another field
    return schema
