"""The bounds of pyproject.toml are true: complete, without known holes, and what `make lowest` installs and tests."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
WITHOUT_HOLES = {
    "azure-identity": "1.16.1",  # CVE-2024-35255
    "azure-storage-blob": "12.13.0",  # CVE-2022-30187
    "filelock": "3.20.3",  # CVE-2025-68146, CVE-2026-22701
    "pydantic": "2.4.0",  # CVE-2024-3772
    "pydantic-settings": "2.14.2",  # GHSA-4xgf-cpjx-pc3j
    "pytest": "9.0.3",  # CVE-2025-71176
    "redis": "4.5.5",  # CVE-2023-28858, CVE-2023-28859
    "urllib3": "2.7.0",  # CVE-2026-44431, CVE-2026-44432
}
"""The first release of each after its last published hole."""
BROUGHT = {
    "attrs": "jsonschema, whose validators are classes of it",
    "boto3": "imported only where the caller has passed in an object of it",
    "hiredis": "redis[hiredis]",
    "pydantic_core": "pydantic, which pins its version",
    "referencing": "jsonschema, whose interface has it",
    "_typeshed": "type checkers",
}
"""What is imported and not declared, and by whom it is there."""


def requirements(*extras: str) -> list[Requirement]:
    return [
        Requirement(text) for text in (*PROJECT["dependencies"], *(line for name in extras for line in EXTRAS[name]))
    ]


def lowest(requirement: Requirement) -> Version | None:
    bounds = [Version(bound.version) for bound in requirement.specifier if bound.operator in (">=", "==")]
    return max(bounds, default=None)


def test_no_bound_admits_a_release_with_a_known_hole() -> None:
    for requirement in requirements(*EXTRAS):
        bound = lowest(requirement)
        if bound is not None and requirement.name in WITHOUT_HOLES:
            assert bound >= Version(WITHOUT_HOLES[requirement.name]), requirement


def test_what_the_package_imports_is_declared() -> None:
    """Not brought along by chance, by something that is declared."""
    declared = {requirement.name.lower() for requirement in requirements(*EXTRAS)}
    distributions = importlib.metadata.packages_distributions()
    missing = set()
    for path in (ROOT / "bluestar_store").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            elif isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            else:
                continue
            for name in {module.partition(".")[0] for module in modules} - {*sys.stdlib_module_names, "bluestar_store"}:
                found = {distribution.lower() for distribution in distributions.get(name, [name])}
                missing |= found if not found & (declared | BROUGHT.keys()) else set()
    assert missing == set()


def test_the_lowest_versions_are_those_of_the_bounds() -> None:
    if os.environ.get("BLUESTAR_TEST_LOWEST") != "1":
        pytest.skip("only `make lowest` installs the lowest versions")
    higher = {
        f"{requirement} is {importlib.metadata.version(requirement.name)}"
        for requirement in requirements("dev")
        if (bound := lowest(requirement)) and Version(importlib.metadata.version(requirement.name)) != bound
    }
    assert higher == set()
