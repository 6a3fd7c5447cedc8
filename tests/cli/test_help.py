"""Help: there for every command, and without the AWS SDK."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from itertools import takewhile
from typing import Any

import pytest
from typer.main import get_command

from bluestar_store import AchConfig
from bluestar_store.cli import app
from bluestar_store.mapping.mapper import Mapper
from bluestar_store.models.calculation import CALCULATION_RULE
from bluestar_store.models.config import CLIENT_CONFIG
from bluestar_store.models.limits import IRS_LIMITS
from bluestar_store.models.registry import KINDS
from bluestar_store.models.validation import VALIDATION_RULE
from bluestar_store.models.vendor import VENDOR_SCHEMA
from tests.cli.conftest import Run


def words_of(command: object, *words: str) -> Iterator[list[str]]:
    """The words of a command, and of those within it."""
    yield [*words]
    for name, one in getattr(command, "commands", {}).items():
        yield from words_of(one, *words, name)


COMMANDS = [*words_of(get_command(app))]
WITHOUT = {"botocore", "redis", "pynamodb", "pydantic_settings"}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help_that_fits_80_columns(command: list[str], run: Run) -> None:
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert result.stderr == ""
    text = result.stdout
    assert f"Usage: bluestar-store {' '.join(command)}".rstrip() in text
    assert max(map(len, text.splitlines())) <= 80
    assert "..." not in text.partition("Commands:")[2]  # no command's sentence is cut off
    assert ("--json" in text) is bool(command)


def test_every_command_is_listed_in_the_help_of_its_group(run: Run) -> None:
    listed = [
        [*words, line.split()[0]]
        for words in COMMANDS
        for line in run(*words, "--help").stdout.partition("Commands:\n")[2].splitlines()
    ]
    assert len(listed) > 60
    assert sorted(listed) == sorted(COMMANDS[1:])


@pytest.mark.parametrize("mapper", [one for one in KINDS if one.commands], ids=lambda mapper: mapper.name)
def test_the_commands_that_a_kind_names_are_there_and_take_what_its_key_says(mapper: Mapper[Any]) -> None:
    for text in mapper.commands:
        words = [*takewhile(str.islower, text.partition("{")[0].split())]
        assert words in COMMANDS
        assert set(re.findall(r"\{(\w+)\}", text)) <= set(mapper.keys.fields)


def test_help_imports_neither_the_aws_sdk_nor_redis_nor_the_settings() -> None:
    code = f"""
import json, sys
from bluestar_store.cli import app
for command in {COMMANDS!r}:
    try:
        app([*command, "--help"])
    except SystemExit as end:
        assert not end.code, end.code
print(json.dumps(sorted({{name.split(".")[0] for name in sys.modules}})))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    imported = set(json.loads(done.stdout.splitlines()[-1]))
    assert "typer" in imported
    assert not imported & WITHOUT


def test_version(run: Run) -> None:
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"bluestar-store {version('bluestar-store')}\n")


@pytest.mark.parametrize(
    ("group", "mapper"),
    [
        ("rule", CALCULATION_RULE),
        ("validation", VALIDATION_RULE),
        ("limits", IRS_LIMITS),
        ("config", CLIENT_CONFIG),
        ("schema", VENDOR_SCHEMA),
    ],
)
def test_the_help_of_set_shows_a_field_of_what_it_sets(group: str, mapper: Mapper[Any], run: Run) -> None:
    named = re.findall(r"\b([a-z_0-9]+)=", run(group, "set", "--help").stdout)
    fields = {*mapper.entity.model_fields, *(AchConfig.model_fields if group == "config" else ())}
    assert named
    assert {*named} <= fields
