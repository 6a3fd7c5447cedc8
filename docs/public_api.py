"""What is public, and what of it is not explained: `make site` fails for that, and so does a test.

Public are the names that the modules with a page in docs/api export: `__all__`, or without one what they define under
names without an underscore. Each has a docstring, and so has each method and property of a public class, or what it
overrides. Fields are told by their types and by the docstring of their class.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import griffe

DOCS = Path(__file__).parent
PACKAGE = "bluestar_store"
SEAM = "protocols.Engine"
"""Explains the methods of every class that has all of them."""
PEERS = ("pydantic", "pynamodb")
"""Whose classes ours extend."""


def modules(pages: Path = DOCS / "api") -> list[str]:
    """The public modules: those that pages show."""
    texts = [page.read_text("utf-8") for page in sorted(pages.glob("*.md"))]
    return [name for text in texts for name in re.findall(rf"^::: ({PACKAGE}(?:\.[a-z_]+)?)$", text, re.MULTILINE)]


def loaded(root: Path = DOCS.parent) -> griffe.Module:
    """The package, as its sources say it: nothing is imported."""
    loader = griffe.GriffeLoader(search_paths=[root, *filter(None, sys.path)], allow_inspection=False)
    for name in PEERS:
        loader.load(name)
    loader.load(PACKAGE)
    loader.resolve_aliases()
    package: griffe.Module = loader.modules_collection[PACKAGE]
    return package


def public(package: griffe.Module, module: str) -> dict[str, griffe.Object | None]:
    """What a module exports, by the path that it is exported under; None where the sources do not say what it is."""
    inside = package if module == PACKAGE else package[module.removeprefix(f"{PACKAGE}.")]
    names = [str(name) for name in inside.exports or ()] or [
        name for name, one in inside.members.items() if not (name.startswith("_") or one.is_alias or one.is_module)
    ]
    return {f"{module}.{name}": _named(package, inside, name) for name in names}


def undocumented(package: griffe.Module, among: Iterable[str] = ()) -> list[str]:
    """Public names, and methods and properties of public classes, without a docstring; of these modules, or of all."""
    seam = package[SEAM]
    things = {path: thing for module in among or modules() for path, thing in public(package, module).items()}
    missing = {path for path, thing in things.items() if thing is None or not thing.has_docstring}
    classes = {thing for thing in things.values() if isinstance(thing, griffe.Class)}
    return sorted(missing.union(*(_untold(thing, seam) for thing in classes)))


def _untold(thing: griffe.Class, seam: griffe.Class) -> Iterator[str]:
    family = [thing, *thing.mro()]
    names = {name for one in family if one.path.startswith(PACKAGE) for name in one.members}
    if names >= {*seam.members}:
        family.append(seam)
    for name in names:
        members = [one.members[name] for one in family if name in one.members]
        if _is_call(name, members[0]) and not any(member.has_docstring for member in members):
            yield f"{thing.path}.{name}"


def _is_call(name: str, member: griffe.Object | griffe.Alias) -> bool:
    """A method or a property; a rule or a fixture of a suite of tests is no call."""
    if member.is_alias or name.startswith(("_", "test_")):
        return False
    fixture = any(str(decorator.value).startswith("pytest.fixture") for decorator in getattr(member, "decorators", ()))
    return (member.is_function or "property" in member.labels) and not fixture


def _named(package: griffe.Module, inside: griffe.Object, name: str) -> griffe.Object | None:
    """What an exported name is: where a submodule is called like what is imported from it, that import."""
    try:
        member = inside.members[name]
        found = member.final_target if isinstance(member, griffe.Alias) else member
        if found.is_module and found.parent is not None:
            found = package[found.parent.imports[name].removeprefix(f"{PACKAGE}.")]
        return found
    except (KeyError, griffe.AliasResolutionError):
        return None
