"""Files import each other in no circle, not even for types or inside of functions: each can be read by itself."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

NO_IMPORTS = {
    "bluestar_store.plugins": "names what opens an engine as other packages' entry points do, by text alone",
    "bluestar_store.checks.fields": "an old name, for one release",
    "bluestar_store.rulesets.reading": "the folder of the baseline",
}
"""Modules that name others in text and import none of them, and what for."""


@pytest.fixture
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("bluestar_store", cache_dir=None)


def test_no_files_import_each_other_in_a_circle(graph: grimp.ImportGraph) -> None:
    circles = [chain for module in sorted(graph.modules) if (chain := circle(graph, module))]
    assert circles == []


def test_modules_that_others_name_in_text_make_no_circle_either(graph: grimp.ImportGraph) -> None:
    """Such as `lazily`, `renamed` and the list of kinds do."""
    for module in sorted(graph.modules - NO_IMPORTS.keys()):
        for named in modules_in_text(module, graph):
            graph.add_import(importer=module, imported=named)
    assert [chain for module in sorted(graph.modules) if (chain := circle(graph, module))] == []


def modules_in_text(module: str, graph: grimp.ImportGraph) -> Iterator[str]:
    """The modules that a module's own strings begin with; not the package as a whole.

    Docstrings apart, and the repositories that Mappers name for a Store to make: no file of a kind imports one.
    """
    found = importlib.util.find_spec(module)
    assert found is not None
    tree = ast.parse(Path(str(found.origin)).read_text(encoding="utf-8"))
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    told |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "repository"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            (text,) = re.findall(r"^(?:bluestar_store(?:\.\w+)+)?", node.value)
            if text in graph.modules and text != module:
                yield text


def test_a_circle_is_found_through_any_number_of_files() -> None:
    graph = grimp.ImportGraph()
    for importer, imported in ("ab", "bc", "ca", "cd"):
        graph.add_import(importer=importer, imported=imported)
    assert circle(graph, "a") == ["a", "b", "c", "a"]
    assert circle(graph, "d") is None


def circle(graph: grimp.ImportGraph, module: str) -> list[str] | None:
    """The files by which a file imports itself; None for one that does not."""
    for imported in sorted(graph.find_modules_directly_imported_by(module)):
        if chain := graph.find_shortest_chain(imported, module):
            return [module, *chain]
    return None
