"""Every public name is explained: what docs/api shows has docstrings, and what is exported has a page there."""

from __future__ import annotations

import importlib.util
import pkgutil
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import bluestar_store

ROOT = Path(__file__).parents[1]
INSIDE = ("cli", "errors", "keys", "version")
"""Modules with an `__all__` whose public names are exported by `bluestar_store`, or are the command's."""


@pytest.fixture(scope="module")
def public_api() -> Any:
    spec = importlib.util.spec_from_file_location("public_api", ROOT / "docs" / "public_api.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_public_name_has_a_docstring(public_api: Any) -> None:
    assert public_api.undocumented(public_api.loaded()) == []


def test_a_public_name_without_a_docstring_is_found(public_api: Any, tmp_path: Path) -> None:
    package = tmp_path / "bluestar_store"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "protocols.py").write_text('class Engine:\n    def get(self):\n        """Items."""\n')
    (package / "shop.py").write_text(
        "__all__ = ['CONSTANT', 'Shop', 'told', 'untold']\n\n"
        "CONSTANT = 1\n\n"
        "class Base:\n    def open(self):\n        '''Opens.'''\n\n"
        "class Shop(Base):\n    '''A shop.'''\n\n    def open(self): ...\n    def get(self): ...\n"
        "    def close(self): ...\n    def _inside(self): ...\n    @property\n    def name(self): ...\n\n"
        "def told():\n    '''Told.'''\n\ndef untold(): ...\n\ndef private(): ...\n"
    )
    found = public_api.undocumented(public_api.loaded(tmp_path), ["bluestar_store.shop"])
    names = ("CONSTANT", "Shop.close", "Shop.name", "untold")  # open is told by Base, get by the protocol
    assert found == [f"bluestar_store.shop.{name}" for name in names]


def test_whatever_exports_names_has_a_page(public_api: Any) -> None:
    names = [module.name for module in pkgutil.iter_modules(bluestar_store.__path__)]
    exporting = {name for name in names if name not in INSIDE and _exports(f"bluestar_store.{name}")}
    assert exporting <= {name.removeprefix("bluestar_store.") for name in public_api.modules()}


def _exports(name: str) -> bool:
    try:
        return hasattr(import_module(name), "__all__")
    except ModuleNotFoundError:  # of an extra that is not installed
        return False


def test_the_index_of_the_reference_has_every_page() -> None:
    pages = ROOT / "docs" / "api"
    linked = re.findall(r"\]\((\w+\.md)\)", (pages / "README.md").read_text(encoding="utf-8"))
    assert sorted([*linked, "README.md"]) == sorted(page.name for page in pages.glob("*.md"))
