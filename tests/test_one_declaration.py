"""What is known of a kind is said on its mapper, once: elsewhere kinds are asked, and not told by their names."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import bluestar_store
from bluestar_store.models.registry import BUILT_IN, KINDS

PACKAGE = Path(bluestar_store.__path__[0])
FOLDERS = sorted({path.parent.name for path in PACKAGE.glob("*/__init__.py")} - {"models"})
CONSTANTS = {name.partition(":")[2] for name in BUILT_IN}
NAMES = {mapper.name for mapper in KINDS} | {mapper.table for mapper in KINDS}
ELSEWHERE = {
    "doctor/strays.py": "what old programs keep in the table of batches",
    "doctor/pipelines.py": "looks at pipelines only",
    "repositories/revisions.py": "revisions lie among the heads of trails, which a fake of one kind does not have",
    "transfer/merge/aggregates.py": "batches, trails and pipelines are merged whole",
}
"""Where one kind's table is told from the others', and why."""


def compared(tree: ast.AST) -> Iterator[str]:
    """What is compared with one of the library's kinds, with its name, or with that of its table."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(map(_names_a_kind, sides)):
                yield ast.unparse(node)


def _names_a_kind(side: ast.expr) -> bool:
    match side:
        case ast.Name(id=name) | ast.Attribute(value=ast.Name(id=name), attr="name" | "table"):
            return name in CONSTANTS
        case ast.Constant(value=text):
            return text in NAMES
        case ast.Tuple(elts=parts) | ast.Set(elts=parts) | ast.List(elts=parts):
            return any(map(_names_a_kind, parts))
    return False


@pytest.mark.parametrize(
    "folder", sorted({path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()} - {"models"})
)
def test_nobody_tells_a_kind_by_its_name(folder: str) -> None:
    files = (PACKAGE / folder).rglob("*.py")
    found = {path: [*compared(ast.parse(path.read_text("utf-8")))] for path in files}
    told = {path.relative_to(PACKAGE).as_posix(): texts for path, texts in found.items() if texts}
    assert {path: texts for path, texts in told.items() if path not in ELSEWHERE} == {}


def test_nobody_tells_a_kind_by_its_name_in_the_modules_of_no_package() -> None:
    assert [text for path in PACKAGE.glob("*.py") for text in compared(ast.parse(path.read_text("utf-8")))] == []


def test_the_exceptions_are_needed() -> None:
    assert all([*compared(ast.parse((PACKAGE / name).read_text("utf-8")))] for name in ELSEWHERE)
