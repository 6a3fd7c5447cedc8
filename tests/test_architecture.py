"""ARCHITECTURE.md and CONTRIBUTING.md are true: floors, names, files, figures and commands are those of the code."""

from __future__ import annotations

import ast
import inspect
import pkgutil
import re
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import bluestar_store
from benchmarks import hops

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "bluestar_store"
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PAGES = {"ARCHITECTURE.md": ARCHITECTURE, "CONTRIBUTING.md": CONTRIBUTING}
TOP = {module.name for module in pkgutil.iter_modules(bluestar_store.__path__)}


def section(title: str) -> str:
    """What stands under a heading, up to the next one of its level."""
    return ARCHITECTURE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of the rows of tables, without their heads."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [row for row in cells if not set("".join(row)) <= set("-| ")]


def names(text: str) -> list[str]:
    """The code names in a text: `repositories.base.Reader`, from within the package."""
    found = re.findall(r"`((?:\w+\.)+\w+)(?:\(\))?`", text)
    return [name for name in found if name.partition(".")[0] in TOP and not name.endswith((".py", ".md"))]


def resolved(name: str) -> Any:
    """The module, class or method of a name. Raises AttributeError, ModuleNotFoundError."""
    module, parts = f"bluestar_store.{name.partition('.')[0]}", name.split(".")[1:]
    while parts and hasattr(import_module(module), "__path__"):
        folder = PACKAGE.joinpath(*module.split(".")[1:], parts[0])
        if not (folder.is_dir() or folder.with_suffix(".py").is_file()):
            break
        module = f"{module}.{parts.pop(0)}"
    found: Any = import_module(module)
    for part in parts:
        found = getattr(found, part) if hasattr(found, part) else found.__annotations__[part]
    return found


def module_of(name: str) -> Any:
    """The module that a name lies in."""
    found = resolved(name)
    return found if inspect.ismodule(found) else inspect.getmodule(found)


def test_the_floors_are_those_that_import_linter_holds() -> None:
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = [re.findall(r"\w+", layer) for layer in linter["contracts"][0]["layers"]]
    (drawn,) = re.findall(r"```text\n(.*?)```", section("Floors"), re.DOTALL)
    assert [found for line in drawn.splitlines() if (found := re.findall(r"[a-z]\w+", line))] == layers
    assert {name for layer in layers for name in layer} >= TOP - {"version"}


@pytest.mark.parametrize("name", sorted({*names(ARCHITECTURE), *names(CONTRIBUTING)}))
def test_what_is_named_exists(name: str) -> None:
    assert resolved(name) is not None


def test_names_in_the_packages_own_files_exist() -> None:
    """Of what lies in its folders: `store.cache` is an attribute of a Store."""
    wrong = []
    for path in PACKAGE.rglob("*.py"):
        for name in set(names(path.read_text(encoding="utf-8"))):
            if (PACKAGE / name.partition(".")[0]).is_dir():
                try:
                    resolved(name)
                except (KeyError, AttributeError, ModuleNotFoundError):
                    wrong.append(f"{path.relative_to(PACKAGE)}: {name}")
    assert wrong == []


@pytest.mark.parametrize("row", rows(section("Where is ...?"))[1:], ids=lambda row: row[0])
def test_the_second_hop_is_named_where_the_first_one_leads(row: list[str]) -> None:
    """In the file of the first, so that whoever reads there comes upon it; old names have two places, and no hop."""
    first, second = (names(cell)[0] for cell in row[1:])
    if first.partition(".")[0] == "moved_modules":
        return
    text = inspect.getsource(module_of(first))
    assert re.search(rf"\b{second.rpartition('.')[2]}\b", text), (first, second)


def test_the_modules_that_flows_go_through_exist() -> None:
    lists = re.findall(r"^now, (\d+) modules of [^\n]+:\n([^`]+)```", section("Three flows"), re.MULTILINE)
    assert len(lists) == 3
    for count, text in lists:
        modules = " ".join(text.split()).split(" > ")
        assert len(modules) == int(count)
        assert [module for module in modules if not inspect.ismodule(resolved(module))] == []


@pytest.mark.parametrize("page", PAGES)
def test_files_and_links_exist(page: str) -> None:
    files = re.findall(r"`([\w./-]+(?:\.py|\.md|\.toml|\.txt|/))`", PAGES[page])
    links = [link for link in re.findall(r"\]\(([^)#\s]+)", PAGES[page]) if "://" not in link]
    assert [name for name in files if not any((place / name).exists() for place in (PACKAGE, ROOT))] == []
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_folders_and_files_of_tests_that_pages_name_exist() -> None:
    named = {name for text in PAGES.values() for name in re.findall(r"`(tests/[\w/.]+)`", text)}
    assert named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_anchors_within_the_pages_exist(page: str) -> None:
    def anchors(text: str) -> set[str]:
        return {
            re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in re.findall("^#+ (.*)$", text, re.M)
        }

    found = re.findall(r"\]\(([A-Z]+\.md)?#([^)]+)\)", PAGES[page])
    assert [anchor for other, anchor in found if anchor not in anchors(PAGES[other or page])] == []


def test_a_word_of_the_glossary_means_one_thing() -> None:
    words = [row[0] for row in rows(section("Glossary"))][1:]
    assert len(words) > 20
    assert len(set(words)) == len(words)
    assert words == sorted(words, key=str.lower)


@pytest.mark.parametrize(
    "flow", ["cached read with fallback", "read with fallback, a miss", "versioned put with trail"]
)
def test_flows_go_no_farther_than_the_page_says(flow: str) -> None:
    """A tenth more is no lie; what goes down may stand there until somebody measures again."""
    told = next(row[1:] for row in reversed(rows(section("Three flows"))) if row[0] == flow)
    trace = hops.FLOWS[flow]()
    measured = (len(trace.calls), len(trace.modules), trace.changes, trace.decodes, trace.parses)
    assert all(now <= int(then.replace(",", "")) * 1.1 for now, then in zip(measured, told, strict=True)), measured


def test_no_file_has_more_than_400_lines_but_the_tree_of_errors() -> None:
    files = [path for folder in (PACKAGE, ROOT / "tests", ROOT / "benchmarks") for path in folder.rglob("*.py")]
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert [path for path, count in lines.items() if count > 400 and path != PACKAGE / "errors.py"] == []


def test_commands_are_targets_that_ci_runs() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for text in PAGES.values():
        for target in re.findall(r"`make ([\w-]+)", text):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
        for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
            assert [line for line in block.splitlines() if line not in ci] == []


TWICE = {"FileStore": "of files, and of documents, by the name that old code of the drop-in imports"}


def test_no_name_of_a_class_means_two_things() -> None:
    found: dict[str, set[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found.setdefault(node.name, set()).add(str(path))
    assert {name for name, files in found.items() if len(files) > 1} == TWICE.keys()
