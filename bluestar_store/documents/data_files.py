"""Reads test data, JSON files {table: [items]} or named sets of them in a folder, and checks it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bluestar_store.disk import read_plain
from bluestar_store.documents.json_schema import schema_problems
from bluestar_store.documents.table_file import CheckItem, read_items
from bluestar_store.engines.exact_json import exact_json, pointer_part
from bluestar_store.errors import ConfigurationError, RuleSetProblem, SeedError
from bluestar_store.keys import shown
from bluestar_store.protocols import Item
from bluestar_store.settings import Settings

DEFAULT_SET = "default"
"""The set that a folder of them gives where none is named."""


def data_file(settings: Settings, data_set: str | None = None) -> Path | None:
    """The file of test data: TEST_DATA_FILE itself, or the set in that folder; None where the settings name none.

    `data_set` comes before TEST_DATA_SET. Raises ConfigurationError for a file or set that is not there.
    """
    path, name = settings.test_data_file, data_set or settings.test_data_set
    if path is None:
        if name is not None:
            raise ConfigurationError(f"data set {shown(name)}: TEST_DATA_FILE has to name the folder that it is in")
        return None
    if not path.is_dir():
        if name is not None:
            raise ConfigurationError(f"data set {shown(name)}: TEST_DATA_FILE {path} has to be a folder of such sets")
        if not path.is_file():
            raise ConfigurationError(f"TEST_DATA_FILE {path} does not exist")
        return path
    known = sorted(found.stem for found in path.glob("*.json") if re.fullmatch(r"[\w-][\w.-]*", found.stem))
    if (name or DEFAULT_SET) not in known:
        raise ConfigurationError(
            f"TEST_DATA_FILE {path} has no data set {shown(name or DEFAULT_SET)}; it has {', '.join(known) or 'none'}"
        )
    return path / f"{name or DEFAULT_SET}.json"


def read_data(path: Path, schema: Path | None = None) -> dict[str, list[Any]]:
    """The lists of a file by table, as parsed JSON, numbers exact.

    Raises SeedError with every problem: what is no list of objects, and what the JSON Schema does not allow. That is
    the one given, else the one that the file names as its `$schema`, relative to itself.
    """
    content = _content(path)
    if not isinstance(content, dict):
        raise _refused([RuleSetProblem(str(path), "", "is no object of tables: {table: [items]}")])
    named = content.pop("$schema", None)
    problems = [
        RuleSetProblem(str(path), f"/{pointer_part(table)}", "is no list of items")
        for table, items in content.items()
        if not isinstance(items, list)
    ]
    if named is not None and (not isinstance(named, str) or "://" in named):
        problems.append(RuleSetProblem(str(path), "/$schema", "is no path of a file beside this one"))
    elif schema is not None or named is not None:
        where = schema or path.parent / str(named)
        found = schema_problems(_content(where), content, str(where))
        problems += [RuleSetProblem(str(path), pointer, reason) for pointer, reason in found]
    if problems:
        raise _refused(problems)
    return content


def table_items(
    path: Path, content: Mapping[str, list[Any]], names: Iterable[str], pk_name: str, check_item: CheckItem
) -> dict[str, Item]:
    """The items of the first of these tables that the file has, by their keys; {} when it has none of them.

    Raises SeedError with every problem.
    """
    table = next((name for name in names if name in content), None)
    if table is None:
        return {}
    items, problems = read_items(content[table], pk_name, check_item)
    if problems:
        where = f"/{pointer_part(table)}"
        raise _refused([RuleSetProblem(str(path), where + pointer, reason) for pointer, reason in problems])
    return items


def _content(path: Path) -> Any:
    try:
        return exact_json(read_plain(path))
    except OSError as error:
        raise _refused([RuleSetProblem(str(path), "", f"cannot be read: {error.strerror}")]) from None
    except ValueError as error:
        raise _refused([RuleSetProblem(str(path), "", f"is not JSON: {error}")]) from None


def _refused(problems: Iterable[RuleSetProblem]) -> SeedError:
    return SeedError(list(problems), what="the data")
