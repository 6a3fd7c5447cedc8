"""Each promise names the tests that hold it, and these tests are there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = ("promises.md", "security.md")


def rows() -> list[tuple[str, str]]:
    """Promise and holder of each line of the pages' tables."""
    pages = [(ROOT / "docs" / page).read_text(encoding="utf-8") for page in PAGES]
    found = [row for page in pages for row in re.findall(r"^\| (.+?) \| (.+?) \|$", page, re.MULTILINE)]
    return [row for row in found if row[1] != "held by" and not row[0].startswith("---")]


@cache
def functions_in(path: str) -> frozenset[str]:
    """The functions of a file of tests, those of classes too, and the classes."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    named = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, named))


@pytest.mark.parametrize(("promise", "holder"), rows())
def test_each_promise_names_tests_that_are_there(promise: str, holder: str) -> None:
    named = re.findall(r"`([\w/.-]+\.py)::(\w+)`", holder)
    assert named, f"no test holds: {promise}"
    assert [(path, name) for path, name in named if not (ROOT / path).exists() or name not in functions_in(path)] == []
