"""Files import each other in no circle, not even for types or inside of functions: each can be read by itself."""

from __future__ import annotations

import grimp
import pytest


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("bluestar_store", cache_dir=None)


def test_no_files_import_each_other_in_a_circle(graph: grimp.ImportGraph) -> None:
    circles = [chain for module in sorted(graph.modules) if (chain := circle(graph, module))]
    assert circles == []


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
